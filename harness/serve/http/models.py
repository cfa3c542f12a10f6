"""What a folder serves and under which names: iro-3/BASE, best-of-16/BASE, base/BASE.

models = open_models(fitted_folder("aligned", out), model=None, device="auto")
models.names                                # those that answer; models.refused says why others do not
models.named("iro-3/smollm2-135m-instruct")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.api.use import USUAL, Use
from harness.core.errors import UserError, unknown
from harness.core.models.served.address import is_served
from harness.core.slug import slug
from harness.running.fitted import read_fitted
from harness.serve.aligned import Aligned
from harness.serve.opening import open_aligned


@dataclass(frozen=True)
class Served:
    """One model by name, and who picks its answers."""

    name: str
    aligned: Aligned

    @property
    def pick(self) -> str:
        return self.aligned.pick


@dataclass(frozen=True)
class Models:
    """The methods of a folder over one model in memory."""

    base: str  # the name of the frozen model
    served: Mapping[str, Served]
    refused: Mapping[str, str]  # name -> why it does not answer
    is_chat: bool  # whether its prompts were messages
    folder: Path

    @property
    def names(self) -> list[str]:
        return list(self.served)

    @property
    def main(self) -> Served:
        """What speaks for the folder: IRO's last iteration, else the last that fitted something, else any."""
        fitted = [one for one in self.served.values() if one.aligned.iteration]
        iro = [one for one in fitted if one.aligned.method == "iro"]
        return (iro or fitted or list(self.served.values()))[-1]

    def named(self, name: str, iteration: int | None = None) -> Served:
        """A model by its name, or at another of its iterations. Raises UserError for one that is not served."""
        if name in self.refused:
            raise UserError(f"model {name!r} is not served: {self.refused[name]}")
        if name not in self.served:
            raise unknown("model", name, self.served)
        found = self.served[name]
        if iteration is None or iteration == found.aligned.iteration:
            return found
        method = found.aligned.method
        same = {one.aligned.iteration: one for one in self.served.values() if one.aligned.method == method}
        if iteration not in same:
            raise UserError(f"iro.iteration={iteration}: {method} has {', '.join(map(str, sorted(same)))}")
        return same[iteration]


def open_models(folder: Path, model: str | None, device: str, use: Use = USUAL) -> Models:
    """Load the folder's model once, and every method of it that new prompts can be answered by."""
    about = read_fitted(folder)
    free = min(about.methods, key=lambda name: min(about.methods[name].reward_calls.values()))
    first = open_aligned(folder, free, None, None, model, device, use)
    base = slug(Path(first.model.partition("#")[2] if is_served(first.model) else first.model).name)
    served: dict[str, Served] = {}
    refused: dict[str, str] = {}
    for method, of in about.methods.items():
        for iteration in of.iterations:
            name = f"{_dashed(method, iteration)}/{base}"
            try:
                aligned = first.beside(method, iteration)
                name = f"best-of-{aligned.rows}/{base}" if method == "best_of_n" else name
                aligned.require_answerable()
            except UserError as error:
                refused[name] = str(error)
                continue
            served[name] = Served(name, aligned)
    own = f"base/{base}"
    if own not in served:
        served = {own: Served(own, first.unaligned()), **served}
    return Models(base, served, refused, bool(about.facts.get("is_chat")), folder)


def _dashed(method: str, iteration: int) -> str:
    return method.replace("_", "-") + (f"-{iteration}" if iteration else "")
