"""A task's held-out score as the evaluation holds it: checked, and booked on the ledger like every other work.

gold = GoldHandle(task, ledger, base_nll)
gold(completions)["gold_reward"]        # (n,) in raw units
"""

from collections.abc import Sequence

import numpy as np

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.reward import verified
from harness.core.task import GOLD, Task
from harness.core.types import Completion, Scorer


class GoldHandle:
    """Only the stages of a run make one; no method is given one."""

    def __init__(self, task: Task, ledger: Ledger, base_nll: Scorer) -> None:
        self.__task, self.__ledger, self.__base_nll = task, ledger, base_nll

    def __call__(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Every metric of the task, (n,) float32 each. Raises UserError where none of them is `gold_reward`."""
        with self.__ledger.timed("gold", calls=1, sequences=len(completions)):
            metrics = self.__task.score_beside_base(completions, self.__base_nll)
        if GOLD not in metrics:
            raise UserError(f"{type(self.__task).__name__} scores {sorted(metrics)}; one metric must be {GOLD!r}")
        return {name: verified(name, values, completions) for name, values in metrics.items()}
