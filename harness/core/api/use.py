"""How a command asks a server, and how much it may take: nothing of it changes an answer."""

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from harness.core.api.client import Patience

if TYPE_CHECKING:
    from harness.core.api.spending import Prices, Spending


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
    spent: list["Spending"] = field(default_factory=list, compare=False)  # by the runs of the command, one each

    def spending(self, prices: "Prices") -> "Spending":
        """Of one more run, within the budget that all share. Raises UserError for a budget that needs prices."""
        from harness.core.api.spending import Spending  # with pydantic, for which a mistyped name need not wait

        made = Spending(prices, self.budget, tuple(self.spent))
        if self.budget != Budget():
            self.spent.append(made)
        return made


USUAL = Use()
