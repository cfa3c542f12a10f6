"""What `harness tax` shows and stores: a table on the screen, OUT/tax/<name>/report.md and its tables.

show_tax(found, stored)
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import polars as pl

from harness.core.files import put_parquet, renewed
from harness.core.manifest import write_manifest, written_problems
from harness.core.proven import take_or_make
from harness.evidence.markdown import markdown_table, one_line, p_value
from harness.evidence.names import display_name
from harness.evidence.screen import beside_here
from harness.evidence.terminal import Column, Terminal, grid
from harness.serve.aligned import Aligned
from harness.serve.tax import Compared, Tax


def show_tax(found: Tax, folder: Path, terminal: Terminal | None = None) -> None:
    screen, rows = terminal or Terminal(), found.rows
    screen.show(
        grid(
            [
                Column("task, metric", [f"{row.task} {_metric(row)}" for row in rows], is_text=True, wraps=True),
                Column("n", [str(row.difference.n) for row in rows], may_go=True),
                Column("base", [f"{row.base.value:.3f}" for row in rows]),
                Column("greedy", [f"{row.greedy.value:.3f}" for row in rows], may_go=True),
                Column(display_name(found.method), [f"{row.aligned.value:.3f}" for row in rows]),
                Column("difference [95%]", [row.difference.shown("+.3f") for row in rows]),
                Column("p", [p_value(row.p) for row in rows]),
            ],
            screen.width,
            plain=screen.is_plain,
        )
    )
    screen.say(_legend(rows))
    screen.say_after("verdict", found.verdict, "bold red" if found.worse else "")
    for line in _minds(found):
        screen.say_after("mind", line, "yellow")
    screen.say_after("cost", f"an answer takes {found.times:.1f} times the policy tokens of the base's")
    screen.say_after("report", beside_here(folder / "report.md"))


def write_tax(found: Tax, aligned: Aligned, out: Path) -> Path:
    """The folder; one of that name holds the same, where it is as it was written."""
    folder = out / "tax" / found.name

    def make() -> None:
        with renewed(folder) as part:
            part.mkdir()
            put_parquet(pl.DataFrame([asdict(answer) for answer in found.answers]), part / "answers.parquet")
            put_parquet(pl.DataFrame([_flat(row) for row in found.rows]), part / "table.parquet")
            (part / "report.md").write_text(_report(found, aligned), encoding="utf-8")
            write_manifest(part, [path.name for path in part.iterdir()])

    take_or_make(folder, out, folder.name, partial(written_problems, folder), make)
    return folder


_LEGEND = (
    "Means over documents, each as lm-eval scores it alone. Difference: aligned - base, paired by document, both "
    "sampled by the folder's rule from the same streams; p by bootstrap, Holm over the rows."
)
_TURNED = (
    " Of metrics that are better where they are lower the difference is base - aligned, so that a minus is a loss in "
    "all rows."
)


def _legend(rows: Sequence[Compared]) -> str:
    return _LEGEND + (_TURNED if any(row.lower_is_better for row in rows) else "")


def _metric(row: Compared) -> str:
    return row.metric + (" (lower is better)" if row.lower_is_better else "")


def _minds(found: Tax) -> list[str]:
    rows = found.rows
    minds = [f"the model was fitted on {name}: its own task is no other one" for name in found.fitted_on]
    minds += [f"{row.task} {row.metric}: {row.unscored} documents have no score" for row in rows if row.unscored]
    few = min(row.difference.n for row in rows)
    return [*minds, *([f"{few} documents show large differences alone"] if few < 100 else [])]


def _report(found: Tax, aligned: Aligned) -> str:
    name = display_name(found.method)
    cells = [
        {
            "task": one_line(row.task),
            "metric": one_line(_metric(row)),
            "n": str(row.difference.n),
            "base": row.base.shown(".3f"),
            "base (greedy)": row.greedy.shown(".3f"),
            name: row.aligned.shown(".3f"),
            "difference [95%]": row.difference.shown("+.3f"),
            "p (Holm)": p_value(row.p),
        }
        for row in found.rows
    ]
    sections = [
        f"# What {name} costs elsewhere",
        f"{one_line(aligned.model)}, {name} after iteration {aligned.iteration}, of run {aligned.about.run}.",
        f"**{one_line(found.verdict)}**",
        "\n".join(markdown_table(cells)),
        _legend(found.rows),
        *(f"*{one_line(line)}*" for line in _minds(found)),
        f"An answer takes {found.times:.1f} times the policy tokens of the base's.",
    ]
    return "\n\n".join(sections) + "\n"


def _flat(row: Compared) -> dict[str, object]:
    estimates = {"base": row.base, "greedy": row.greedy, "aligned": row.aligned, "difference": row.difference}
    numbers = {
        f"{name}{ending}": value
        for name, of in estimates.items()
        for ending, value in (("", of.value), ("_low", of.low), ("_high", of.high))
    }
    return {
        "task": row.task,
        "metric": row.metric,
        "n": row.difference.n,
        **numbers,
        "p": row.p,
        "unscored": row.unscored,
    }
