"""Writes harness/docs/architectures.md: which architectures are taken, which way, and what is refused and why.

python -m tests.core.models.architectures_page        # a minute
"""

from pathlib import Path

import torch
import transformers

from tests.core.models.architectures import ARCHITECTURES, make
from tests.core.models.examined import Examined, examined
from tests.core.models.tokenizers_made_here import word_level

PAGE = Path(__file__).parents[3] / "harness" / "docs" / "architectures.md"
_HEAD = """# Architectures

What the engine makes of tiny random models of {count} architectures, with transformers {version}. Written by
`python -m tests.core.models.architectures_page`; `tests/core/models/test_architectures.py` compares.

A model is tried when it is loaded (`core/models/trial.py`): rows that were copied, dropped, looked ahead of, written on
and taken back against plain forward passes over each text alone. What disagrees is refused by name. *Path*: `shared
prefix` keeps the keys and values of a prompt once for all its rows and is the faster, `plain` is transformers' own
cache, a copy a row. *Lacks*: `take back` is what CARDS needs, `states` what value functions on hidden states need.
*Error*: the largest difference found of a log-probability, in nats, over sampled texts with selections and steps back.
A name behind a colon is a variant: a window longer than the texts (`long`), linear biases (`alibi`), causal attention
(`decoder`). Other windows are shorter than the texts.

| architecture | path | lacks | error | why refused |
|---|---|---|---|---|
"""


def row(name: str, found: Examined) -> str:
    """A line of the table."""
    if found.refusal:
        return f"| {name} | refused | | | {found.refusal.partition(' is refused: ')[2]} |"
    error = max(value for what, value in found.errors.items() if what != "states")
    bound = next(f"< {limit:g}" for limit in (1e-4, 1e-3, 1e-2, float("inf")) if error < limit)
    return f"| {name} | {found.path} | {', '.join(found.lacks)} | {bound} | |"


def main() -> None:
    torch.set_num_threads(1)
    rows = [row(name, examined(make(name), word_level(), name)) for name in ARCHITECTURES]
    head = _HEAD.format(count=len(rows), version=transformers.__version__)
    PAGE.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
