"""What work was done, by whom and for what: the ledger that metered handles fill.

    with ledger.phase("generate"):
        policy.decode(...)          # the handle calls ledger.spend("policy", ...)

Spending outside a phase raises: a cost that nobody pays for is a bug.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Phase = Literal["fit", "generate", "score"]
Role = Literal["policy", "value", "proxy", "gold", "judge"]


@dataclass(frozen=True)
class Usage:
    """Work of one role in one phase. Adds up field by field."""

    phase: Phase
    role: Role
    calls: int = 0  # forward calls (models) or batches (scorers)
    sequences: int = 0  # completions scored, prefixes valued or prompts prefilled
    prefill_tokens: int = 0  # tokens read in parallel
    cached_tokens: int = 0  # of these, what a server had read before
    tokens: int = 0  # tokens sampled one by one
    seconds: float = 0.0  # wall clock, for orientation only
    busy_seconds: float = 0.0  # of answering: CPU seconds of the whole batch, wall clock on an accelerator

    def __add__(self, other: "Usage") -> "Usage":
        assert (self.phase, self.role) == (other.phase, other.role), f"{self} + {other}"
        counts = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)[2:]}
        return Usage(self.phase, self.role, **counts)


class Ledger:
    """Usage by (phase, role), filled by metered handles while a phase is open."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._usage: dict[tuple[str, str], Usage] = {}

    @contextmanager
    def phase(self, name: Phase) -> Iterator["Ledger"]:
        if self._phase is not None:
            raise RuntimeError(f"phase {name!r} opened inside phase {self._phase!r}")
        self._phase = name
        try:
            yield self
        finally:
            self._phase = None

    def spend(self, role: Role, *, seconds: float = 0.0, busy_seconds: float = 0.0, **counts: int) -> None:
        """Book `counts` (fields of Usage) on the open phase. Raises RuntimeError outside a phase."""
        if self._phase is None:
            raise RuntimeError(f"{role} spent {counts} outside a phase: wrap the call in `with ledger.phase(...)`")
        self.add(Usage(self._phase, role, seconds=seconds, busy_seconds=busy_seconds, **counts))

    @contextmanager
    def timed(self, role: Role, **counts: int) -> Iterator[None]:
        """Book `counts` and the seconds that the block took."""
        start = time.perf_counter()
        yield
        self.spend(role, seconds=time.perf_counter() - start, **counts)

    def add(self, usage: Usage) -> None:
        key = (usage.phase, usage.role)
        self._usage[key] = self._usage[key] + usage if key in self._usage else usage

    def drain(self) -> list[dict[str, Any]]:
        """Everything booked since the last call, one plain dict per (phase, role), in a fixed order."""
        rows = [asdict(self._usage[key]) for key in sorted(self._usage)]
        self._usage.clear()
        return rows
