"""The tree of a search, recorded while it chooses: an `Observer` that changes nothing.

tree = Tree()
guided_search(..., observe=tree)
tree.rounds["prompt id"]        # what stood after each chunk, and what was kept
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.core.models.rows import Rows
from harness.core.search.search import Beam, Choice


@dataclass(frozen=True)
class Prefix:
    """A row of a search after a round, as it stood when the search chose."""

    parent: int | None  # which prefix of the round before it continues; None in the first round
    text: str
    score: float  # S = sum_i V_i / beta_i
    kept: bool
    values: tuple[float, ...] = ()  # V_1 .. V_i
    betas: tuple[float, ...] = ()


@dataclass
class Tree:
    """All rows of every prompt after each chunk. A finished row that was kept stands in the next round unchanged."""

    rounds: dict[str, list[list[Prefix]]] = field(default_factory=dict)  # prompt id -> round -> prefixes

    def __call__(self, beam: Beam, choices: Sequence[Choice], rows: Rows) -> None:
        texts = [c.text for c in rows.completions()]
        for choice in choices:
            kept = set(choice.kept)
            prefixes = [
                Prefix(
                    beam.parents[i],
                    texts[i],
                    float(beam.scores[i]),
                    i in kept,
                    tuple(beam.values[i].tolist()),
                    tuple(beam.betas),
                )
                for i in choice.rivals
            ]
            self.rounds.setdefault(choice.prompt.id, []).append(prefixes)
