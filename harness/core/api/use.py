"""How a command asks a server, and how much it may take: nothing of it changes an answer."""

from dataclasses import dataclass, field
from math import inf

from harness.core.api.client import Patience


@dataclass(frozen=True)
class Budget:
    """What the requests of one command may take; what an earlier one has spent does not count again."""

    usd: float = inf
    tokens: float = inf


@dataclass(frozen=True)
class Use:
    key_variable: str | None = None  # environment variable of the key
    patience: Patience = field(default_factory=lambda: Patience(parallel=16))
    budget: Budget = field(default_factory=Budget)


USUAL = Use()
