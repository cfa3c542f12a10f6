"""One run on several devices or machines: the processes a launcher started, and where they wait for each other.

    accelerate launch --num_processes 4 -m harness run --method iro

Every process runs the same program. Of each stage it does every `count`-th batch and reads the others' from the cache
folder, which all must share; so results are those of one process. Only the first writes results and speaks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from harness.core.errors import UserError
from harness.core.lock import alone
from harness.core.models.device import place

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    index: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.index == 0

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            with _together():
                PartialState().wait_for_everyone()

    def agreed(self, value: dict[str, Any]) -> dict[str, Any]:
        """The first's value, for all. Raises UserError where another has another one, so that their work would not fit.

        Clocks in chat templates and code without a file differ between processes.
        """
        if self.count == 1:
            return value
        first = self.of_first(value)
        if first != value:
            raise UserError(
                f"launched process {self.index} has another model, other prompts or other code than the first; a clock "
                "in a chat template or code that is in no file differs between processes. Run in one process"
            )
        return value

    def of_first(self, value: Value) -> Value:
        """What the first has, for all."""
        if self.count == 1:
            return value
        with _together():
            shared: list[Value] = broadcast_object_list([value])
        return shared[0]

    def leave(self) -> None:
        """The last thing all of them do together."""
        if self.count > 1:
            PartialState().destroy_process_group()

    @contextmanager
    def alone(self, name: Path, what: str) -> Iterator[None]:
        """No other command in the block: the first of the ranks waits for its turn, and the others for the first."""
        with alone(name, what) if self.first else nullcontext():
            self.wait()
            yield

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first goes through the block alone, then the others: what it fetches and builds is there for them."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


@contextmanager
def _together() -> Iterator[None]:
    """For what all do at once. Raises UserError where another one is gone: the launcher ends the others then, too."""
    try:
        yield
    except RuntimeError as error:  # torch.distributed has no other
        first = (str(error).strip() or "?").splitlines()[0][:100]
        raise UserError(
            f"another launched process died, or cannot be reached any more ({first}). Finished batches are kept: run "
            "the same command again to go on"
        ) from error


def join_ranks() -> Ranks:
    """The processes of this run, as torchrun and accelerate announce them in the environment; alone without."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    state = PartialState(cpu=place()[0].type == "cpu")
    return Ranks(state.process_index, state.num_processes)
