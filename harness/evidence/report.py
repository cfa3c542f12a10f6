"""The table and the figures of a stored run, from its parquet files alone; runs on any laptop, without torch.

python -m harness report imdb-3f2a
"""

from collections.abc import Container, Sequence
from pathlib import Path

from harness.core.files import whole
from harness.core.printable import without_controls
from harness.evidence.accuracies import accuracies
from harness.evidence.benchmark import benchmark
from harness.evidence.checkers import shared_in_words
from harness.evidence.clusters import column_of, few, resampled
from harness.evidence.command import made_by
from harness.evidence.cost import AMORTISED_OVER
from harness.evidence.figures.kinds import draw_all, of_run
from harness.evidence.graders import oracles_in_words
from harness.evidence.markdown import one_line
from harness.evidence.parts import parts_section
from harness.evidence.proven_table import write_proven
from harness.evidence.record import RunRecord
from harness.evidence.report_run import cost, fits, rewards, samples
from harness.evidence.report_sections import calibrated, drifts, equivalents, gains, layers
from harness.evidence.report_table import table_markdown
from harness.evidence.row import Comparison, frame
from harness.evidence.store import Run
from harness.evidence.table import CurvePoint, best_of_n_curve, comparison

_PRICES = (
    " GFLOPs are estimated from those counts, two a weight and token; in brackets with fitting (its policy tokens, "
    "those read in training weights, and its proxy calls), **shared by the {n} prompts of this table**. Another column "
    "shares it by {many}; it `pays from` the number of prompts at which the row, fitting included, costs less than the "
    "best-of-n it is set beside. A reward call has the task's own price; where a row takes more of them than the run's "
    "best-of-n, a column has the GFLOPs if the reward were a model of the policy's size that reads prompt and text. "
    "Left out are attention over earlier tokens and the training of value heads (its seconds are under Cost)."
)
_REFITS = (
    " `over refits` is over several fits of the same thing on the same base samples, with other prompts held out to "
    "choose by and other streams: the mean with a 95% interval over prompts and refits, drawn crossed, ± the standard "
    "deviation of the refits' means. What an interval over prompts alone says of iterations leaves out this luck; and "
    "few refits stay few: of two or three, intervals are too narrow where luck is large. All other columns are of the "
    "first fit."
)
_DOLLARS = (
    " Dollars are those of the tokens that the server counted, at the prices of the run, as if each row had been made "
    "alone; in brackets with fitting, shared by the {n} prompts of this table. What judges and graders ask is left out."
)
_STEPS = (
    " Steps are forward passes in sequence, the longest chain for one answer: of the policy (a prompt's rows are "
    "written together) and of models that guide it, not of the reward. Seconds a prompt are those of a CPU, on one "
    "thread, or of the accelerator, measured while answering in batches."
)


def write_report(run: Run, table: Sequence[Comparison] | None = None) -> Path:
    """Write report.md, table.parquet and the figures into the run's folder; the path of report.md.

    `table` are the rows of `comparison(run)`, where somebody has them already: they take seconds.
    """
    table = comparison(run) if table is None else table
    write_proven(frame(table), run.folder / "table.parquet")
    curve = best_of_n_curve(run)
    drawings = of_run(table, curve, run.values)
    draw_all(drawings, run.folder)
    with whole(run.folder / "report.md") as part:
        part.write_text(without_controls(_markdown(run, table, curve, drawings)), encoding="utf-8")
    return run.folder / "report.md"


def _markdown(run: Run, table: Sequence[Comparison], curve: Sequence[CurvePoint], drawings: Container[str]) -> str:
    record, config, evaluate = run.record, run.record.config, run.record.settings("evaluate")
    command, prompts = made_by(record), run.completions["prompt_id"].n_unique()
    clusters, column = table[0].clusters, column_of(record)
    over_what = resampled(clusters, column)
    where = f"{record.task_name} ({record.task_source}), {record.model_name}"
    sections = [
        f"# {run.id}",
        f"{where}, {prompts} {evaluate.get('slice')} prompts, seed {config.seed}. Commit {record.short_commit}.",
        "Made from Python." if command is None else f"Made by `{command}`.",
        "" if record.agreement is None or not record.agreement.warning else f"**{record.agreement.warning}.**",
        f"**{shared}.** Rows without reward calls ask none of them at test time."
        if (shared := shared_in_words(record))
        else "",
        f"{oracles_in_words(record)}." if any(row.is_oracle for row in table) else "",
        " ".join(imported_in_words(record)),
        f"**Mind: {said}.**" if (said := few(clusters, column)) else "",
        table_markdown(table, record.left_out),
        "Gold and proxy are in standard deviations of base samples, above the base's mean; intervals are 95% bootstrap "
        f"intervals over {over_what}. Differences are paired by prompt. `set beside` names the best-of-n: the best by "
        "proxy among the first n samples of one pool, n the rows that the method takes for a prompt. Where rows do not "
        "measure a method, and for the base, it is the run's own best-of-n, and the row's cost over its is shown: "
        f"FLOPs with fitting where those are known, else policy tokens. Wins and losses are tested by {_test(clusters)}"
        ", ties left out; Holm's correction is over the rows of the table, for each of the two tests. `final pick` "
        "says who chose the answer among the finalists. Costs are per test prompt: policy tokens are the prompt once "
        "and every sampled token, discarded ones included; values are prefixes valued, on the policy's own states, or "
        "by models of their own with the tokens those read; reward calls are texts the proxy scored. Fitting counts "
        "everything up to that iteration, shared samples as if made alone."
        + ("" if table[0].costs.usd is None else _DOLLARS.format(n=prompts))
        + ("" if table[0].costs.flops is None else _PRICES.format(n=prompts, many=f"{AMORTISED_OVER:,}"))
        + ("" if table[0].costs.steps is None else _STEPS)
        + (_REFITS if any(row.over_refits for row in table) else ""),
        "![gold by method](gold_by_method.png)",
        "![gold by iteration](gold_by_iteration.png)" if "gold_by_iteration" in drawings else "",
        "![gold against test-time compute](gold_against_compute.png)",
        "![win rates and gold](win_rates.png)",
        benchmark(run, table),
        accuracies(run, table),
        gains(table),
        equivalents(table, curve),
        drifts(table, curve),
        "## Rewards",
        rewards(record),
        parts_section(run),
        "## Value functions on held-out fit prompts",
        fits(run),
        layers(record.tried),
        "" if run.values is None else calibrated(run.values),
        "## Samples",
        samples(run),
        "## Cost",
        cost(run),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def imported_in_words(record: RunRecord) -> list[str]:
    """A sentence for each other system whose answers stand in this table; none in a run of ours."""
    said = []
    for one in record.imported:
        missing = f", {one['missing']} missing" if one["missing"] else ""
        others = f", {one['others']} to prompts that it does not have" if one["others"] else ""
        said.append(
            f"`{one['method']}` are answers of another system, from {_inline_code(one['file'])} ({one['kind']}): "
            f"{one['answered']:,} of the prompts of {one['run']}{missing}{others}; graded by the run's own rewards, "
            f"which gave {one['regraded']} stored answers the scores that they have. What it cost is not known."
        )
    return said


def _inline_code(name: str) -> str:
    return "`" + one_line(name).replace("`", "'") + "`"


def _test(clusters: int | None) -> str:
    return "McNemar's exact test" if clusters is None else "exact flips of the sign of each cluster's wins less losses"
