"""`harness align`: from a file of prompts and a grader to a folder that answers new prompts, and a verdict.

align_file(request, workspace, Path("aligned/"), replace_out=False)     # True where there is a gain

The stages are those of a run, whose tables lie in the cache: interrupted or repeated, it goes on from what is there.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import UserError
from harness.core.files import whole
from harness.evidence.command import PROMPTS
from harness.evidence.report import write_report
from harness.evidence.row import Comparison
from harness.evidence.screen import beside_here
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.evidence.terminal import Terminal
from harness.running.config import RunConfig, resolve
from harness.running.fitted import asked_from_anywhere, read_fitted
from harness.running.grading import graded
from harness.running.grading_screen import show_findings
from harness.running.preview import Preview, preview
from harness.running.ranks import join_ranks
from harness.running.request import NO_TREES, Request, Workspace
from harness.running.run import complete
from harness.serve.align import alone_in, asked_of, keep, require_free
from harness.serve.align_report import Judged, intervals_of, judged, report_of
from harness.serve.until import Stopped, looks_of, until
from harness.tasks import TASKS


@dataclass(frozen=True)
class AlignedFile:
    """What came of it; `judged` is None where nothing was fitted, for the reason that the screen has."""

    folder: Path
    judged: Judged | None
    stopped: Stopped | None = None  # where it was looked at again and again

    @property
    def gains(self) -> bool:
        return self.judged is not None and self.judged.verdict.gains


def align_file(
    request: Request, workspace: Workspace, folder: Path, replace_out: bool = False, width: float | None = None
) -> AlignedFile:
    """Look at the grader, fit, evaluate on held-out rows, and write the folder.

    `width` ends it where half the interval of the gain is narrower, in sd of gold (see until.py). Raises UserError for
    what a run refuses, for several methods, and where `folder` holds something else.
    """
    config, method, screen = _config(request, width), request.methods[0], Terminal()
    most: int = config.settings["evaluate"].prompts
    asked = asked_from_anywhere(config) | ({} if width is None else {"until": width})
    ranks = join_ranks()

    def make(config: RunConfig, place: str = "") -> Path:
        made = complete(config, _within(workspace), ranks, place=place)
        ranks.wait()
        return made

    def say(line: str) -> None:
        if ranks.first:
            print(line, file=sys.stderr)

    with alone_in(folder, workspace.cache, ranks):
        require_free(folder, asked, replace_out)
        if not _holds(folder, asked):
            found = graded(config, workspace)
            show_findings(found, screen)
            if found.problems:
                ranks.leave()
                return AlignedFile(folder, None)
        stopped = None
        if width is None:
            stored = load_run(make(config))
            table: Sequence[Comparison] = comparison(stored)
            judgement = judged(stored, table, method, intervals_of(stored))
        else:
            stopped = until(width, lambda n: _config(replace(request, limit=n)), most, make, method, say)
            stored, table = stopped.run, stopped.table
            judgement = replace(judged(stored, stopped.valid, method, stopped.intervals), seconds=stopped.seconds)
        if ranks.first:
            write_report(stored, table)
            keep(stored.folder / "fitted", folder, replace(read_fitted(stored.folder / "fitted"), asked=asked))
            with whole(folder / "report.md") as part:
                part.write_text(report_of(judgement, stored, beside_here(folder)), encoding="utf-8")
            print(f"tables of the run: {stored.folder}", file=sys.stderr)
    ranks.leave()
    return AlignedFile(folder, judgement, stopped)


def preview_alignment(request: Request, workspace: Workspace, width: float | None = None) -> Preview:
    """What `align_file` would do after it has looked at the grader; nothing is done. Raises UserError likewise."""
    return preview(_config(request, width), _within(workspace), told_by=workspace.out)


def show_aligned(made: AlignedFile, terminal: Terminal | None = None) -> None:
    """The verdict, and where to go on."""
    screen = terminal or Terminal()
    if made.judged is None:
        return
    verdict = made.judged.verdict
    screen.say_after("verdict", verdict.said, "bold green" if verdict.gains else "bold red")
    if made.stopped is not None:
        screen.say_after("until", made.stopped.said)
    if made.judged.row.is_one_reward:
        screen.say_after(
            "mind", "the grader that judges is the one that was optimised (--gold takes another)", "yellow"
        )
    screen.say_after("report", beside_here(made.folder / "report.md"))
    screen.say_after("next", f'harness generate {beside_here(made.folder)} --prompt "..."')


def _config(request: Request, width: float | None = None) -> RunConfig:
    """With a `width`, of all held-out prompts that there are, unless a number of them was asked for."""
    if len(request.methods) != 1 or request.methods[0] in ("base", "base_greedy", "all"):
        raise UserError(f"--method {','.join(request.methods)}: align fits one method; name it, such as iro")
    config = resolve(request.with_given(NO_TREES))
    if width is None:
        return config
    if config.settings[config.task].cluster:
        raise UserError("--until takes prompts as independent, and --cluster says that they are not; leave one out")
    named = request.limit is not None or PROMPTS in dict(request.given)
    sizes = TASKS[config.task].sizes(config.settings[config.task])
    if not named and sizes is not None:
        config = resolve(replace(request, limit=sizes[config.settings["evaluate"].slice]).with_given(NO_TREES))
    looks_of(width, config.settings["evaluate"].prompts)  # which refuses what cannot be looked at
    return config


def _within(workspace: Workspace) -> Workspace:
    """The tables of such a run lie in the cache: its folder has what answers need, and the report."""
    return replace(workspace, out=workspace.cache / "aligned", name=None)


def _holds(folder: Path, asked: dict[str, object]) -> bool:
    try:
        return (folder / "about.json").is_file() and asked_of(folder) == asked
    except UserError:  # of another version, which --replace puts this in the place of
        return False
