"""What a server counts, for Prometheus: requests, seconds, the line, batches, and what answers took."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

if TYPE_CHECKING:
    from harness.serve.http.writer import Written

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BATCH = (1, 2, 4, 8, 16, 32, 64)
_COUNTS = ("policy_tokens", "value_calls", "value_tokens", "reward_calls")


class Metrics:
    """A registry of its own, so that one process may hold several servers."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter("iro_requests", "requests answered", ("path", "model", "status"), registry=own)
        self.seconds = Histogram("iro_request_seconds", "until the answer", ("path",), buckets=_SECONDS, registry=own)
        self.waiting = Gauge("iro_waiting", "answers that stand in line", registry=own)
        self.batch = Histogram("iro_batch_answers", "answers written together", buckets=_BATCH, registry=own)
        self.prompt_tokens = Counter(
            "iro_prompt_tokens", "tokens of prompts, for each answer (usage: once a prompt)", ("model",), registry=own
        )
        self.completion_tokens = Counter("iro_completion_tokens", "tokens of answers", ("model",), registry=own)
        self.work = Counter("iro_work", "what answers took at test time", ("model", "of"), registry=own)

    def book(self, model: str, made: "Written") -> None:
        self.prompt_tokens.labels(model).inc(made.prompt_tokens)
        self.completion_tokens.labels(model).inc(made.tokens)
        for name in _COUNTS:
            self.work.labels(model, name).inc(vars(made.work)[name])

    def text(self) -> bytes:
        return generate_latest(self.registry)
