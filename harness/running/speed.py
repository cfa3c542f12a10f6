"""How fast the engine is, as ratios within one process on one thread: `python -m harness bench`.

Absolute seconds differ between machines and between minutes on a shared one; what is compared here runs in turns, and
each figure is the median over the turns, of ratios within a turn. FLOPs are counted by formula, not measured.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedModel

from harness.core.files import put_parquet, whole
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.search.search import Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.core.values.hidden import Head, HiddenValue
from harness.running.provenance import commit_of_code
from harness.running.workers import choose_workers, run_batches

SHAPES = ((16, 32), (200, 48))  # prompt tokens, new tokens
ROWS = (1, 16, 64)
SEARCH = Search(width=4, successors=4, chunk=8)
_VALUES = 3  # iterations of IRO
_PRODUCTS = 80  # square products timed together: as long as what is compared with them, so not a moment's boost
_TEXT = "the film was a story of people who live near the sea and it has some scenes that were long but fine"


@dataclass(frozen=True)
class Row:
    """One figure. `share` is what the figure's name says it is a share of; 0 where it is none."""

    what: str
    prompt_tokens: int
    new_tokens: int
    rows: int
    tokens_per_second: float
    gflops_per_second: float
    share: float


def run_bench(policy: TransformersPolicy, untouched: PreTrainedModel, repeats: int) -> list[Row]:
    """All figures of one model, in the order they are printed. The policy loses its end-of-sequence ids.

    `untouched` is the same model as transformers loads it: what generate() runs on.
    """
    policy.eos_ids = frozenset()  # every row runs to its full length
    rows = []
    for prompt_tokens, new_tokens in SHAPES:
        rows += _shape(policy, untouched, prompt_tokens, new_tokens, repeats)
    return [*rows, _workers(policy)]


def _shape(
    policy: TransformersPolicy,
    untouched: PreTrainedModel,
    prompt_tokens: int,
    new_tokens: int,
    repeats: int,
) -> list[Row]:
    """Sampling at several batch sizes against the peak; at the largest, against generate() and guided search."""
    sampler = Sampler(temperature=1.0, top_k=50, top_p=0.95, max_new_tokens=new_tokens)
    prompts, most = _prompts(policy, prompt_tokens, 4), ROWS[-1]
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    jobs: dict[str | int, Callable[[], object]] = {}
    for rows in ROWS[:-1]:
        jobs[rows] = partial(_sample, policy, sampler, prompts[: min(4, rows)], max(1, rows // 4))
    jobs["peak"] = partial(_products, a, b)
    jobs[most] = partial(_sample, policy, sampler, prompts, most // 4)
    jobs["generate"] = partial(_generate, policy, untouched, sampler, prompts, most // 4)
    jobs["guided"] = partial(_guided, policy, sampler, prompts)
    times = _in_turns(repeats, jobs)
    peak = _PRODUCTS * 2 * 1024**3 / times["peak"]
    shape = (prompt_tokens, new_tokens)
    out = [Row("float32 matrix product, a second long: the peak", *shape, 0, 0.0, median(peak) / 1e9, 1.0)]
    for rows in ROWS:
        rate = flops_of(policy, *shape, min(4, rows), rows) / times[rows]
        speed = median(rows * new_tokens / times[rows])
        out.append(Row("sampling, share of the peak", *shape, rows, speed, median(rate) / 1e9, median(rate / peak)))
    for name, what, ratio in (
        ("generate", "generate() of transformers, sampling's speed over it", times["generate"] / times[most]),
        ("guided", f"guided search, {_VALUES} values, its speed over sampling's", times[most] / times["guided"]),
    ):
        out.append(Row(what, *shape, most, median(most * new_tokens / times[name]), 0.0, median(ratio)))
    return out


def flops_of(policy: TransformersPolicy, prompt_tokens: int, new_tokens: int, prompts: int, rows: int) -> float:
    """Multiplications and additions of sampling: 2 a weight and token, 4 a position attended to and hidden unit.

    Every prompt is read once; the last token is drawn but not read; the output layer runs once for each drawn token.
    """
    config = policy.model.config
    output = config.vocab_size * config.hidden_size
    body = policy.parameters - output
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    read_once = prompts * (2 * body * prompt_tokens + attention * prompt_tokens * (prompt_tokens + 1) / 2)
    contexts = sum(prompt_tokens + t for t in range(1, new_tokens))
    per_row = 2 * body * (new_tokens - 1) + attention * contexts + 2 * output * new_tokens
    return float(read_once + rows * per_row)


def write_bench(policy: TransformersPolicy, rows: Sequence[Row], out: Path) -> Path:
    """OUT/bench/<time>.parquet with model, commit and versions in every row."""
    commit, dirty = commit_of_code()
    about = {"model": policy.name, "path": policy.path, "commit": commit, "dirty": dirty, "torch": torch.__version__}
    path = out / "bench" / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.parquet"
    with whole(path) as part:
        put_parquet(pl.DataFrame([{**asdict(row), **about} for row in rows]), part)
    return path


def table(rows: Sequence[Row]) -> str:
    lines = ["| figure | prompt + new tokens | rows | tokens/s | GFLOP/s | ratio |", "|---|---|---|---|---|---|"]
    for row in rows:
        shape = f"{row.prompt_tokens} + {row.new_tokens}" if row.new_tokens else ""
        numbers = [f"{row.tokens_per_second:.0f}" if row.tokens_per_second else ""]
        numbers.append(f"{row.gflops_per_second:.1f}" if row.gflops_per_second else "")
        lines.append(f"| {row.what} | {shape} | {row.rows or ''} | {' | '.join(numbers)} | {row.share:.2f} |")
    return "\n".join(lines)


def median(values: np.ndarray) -> float:
    return float(np.median(values))


def _products(a: torch.Tensor, b: torch.Tensor) -> None:
    for _ in range(_PRODUCTS):
        a @ b


def _in_turns(repeats: int, jobs: Mapping[str | int, Callable[[], object]]) -> dict[str | int, np.ndarray]:
    """Seconds of each job (repeats,); the jobs take turns, so that the ratio within a turn outlives a slow minute."""
    seconds: dict[str | int, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}


def _prompts(policy: TransformersPolicy, tokens: int, count: int) -> list[Prompt]:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(_TEXT.split(), 2 * tokens)) for _ in range(count)]
    return [Prompt(f"bench {i}", text=policy.head_of(text, tokens)) for i, text in enumerate(texts)]


def _handle(policy: TransformersPolicy, sampler: Sampler) -> tuple[PolicyHandle, Ledger]:
    ledger = Ledger()
    return PolicyHandle(policy, sampler, ledger), ledger


def _sample(policy: TransformersPolicy, sampler: Sampler, prompts: Sequence[Prompt], each: int) -> None:
    handle, ledger = _handle(policy, sampler)
    with ledger.phase("generate"):
        handle.decode(prompts, each, Streams(0)).extend(sampler.max_new_tokens)


def _guided(policy: TransformersPolicy, sampler: Sampler, prompts: Sequence[Prompt]) -> None:
    torch.manual_seed(0)
    layer = round(0.3 * policy.depth)
    values = [HiddenValue(Head(policy.width + 1, 128), layer, "mean_all") for _ in range(_VALUES)]
    handle, ledger = _handle(policy, sampler)
    with ledger.phase("generate"):
        guided_search(handle, Guide(values, [1.0] * _VALUES), prompts, SEARCH, Streams(0))


@torch.inference_mode()
def _generate(
    policy: TransformersPolicy, untouched: PreTrainedModel, sampler: Sampler, prompts: Sequence[Prompt], each: int
) -> None:
    ids = torch.tensor([policy.encode(p) for p in prompts], device=policy.device)
    generate: Any = untouched.generate
    generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        num_return_sequences=each,
        temperature=sampler.temperature,
        top_k=sampler.top_k,
        top_p=sampler.top_p,
        max_new_tokens=sampler.max_new_tokens,
        min_new_tokens=sampler.max_new_tokens,
        pad_token_id=0,
    )


def _workers(policy: TransformersPolicy) -> Row:
    """Time of four batches in one process over that in two, on the short shape."""
    prompt_tokens, new_tokens = SHAPES[0]
    sampler = Sampler(top_k=50, max_new_tokens=new_tokens)
    prompts = _prompts(policy, prompt_tokens, 4)
    batches = range(4)

    def run(workers: int) -> None:
        for _ in run_batches(lambda _: _sample(policy, sampler, prompts, 16), batches, workers):
            pass

    count = min(2, choose_workers(None, "cpu", 2.0))
    times = _in_turns(1, {"one": lambda: run(1), "two": lambda: run(count)})
    tokens, one, two = len(batches) * 64 * new_tokens, float(times["one"][0]), float(times["two"][0])
    return Row(f"{count} workers, speed over one", *SHAPES[0], 64, tokens / two, 0.0, one / two)
