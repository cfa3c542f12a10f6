"""`harness align`: from a file of prompts and a grader to a folder that answers new prompts, and a verdict.

align_file(request, workspace, Path("aligned/"), replace_out=False)     # True where there is a gain

The stages are those of a run, whose tables lie in the cache: interrupted or repeated, it goes on from what is there.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import UserError
from harness.core.files import whole
from harness.evidence.report import write_report
from harness.evidence.screen import beside_here
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.evidence.terminal import Terminal
from harness.running.config import RunConfig, resolve
from harness.running.fitted import asked_from_anywhere, read_about_fitted, read_fitted
from harness.running.grading import graded
from harness.running.grading_screen import show_findings
from harness.running.preview import Preview, preview
from harness.running.ranks import join_ranks
from harness.running.request import NO_TREES, Request, Workspace
from harness.running.run import complete
from harness.serve.align import keep, require_free
from harness.serve.align_report import Judged, judged, report_of


@dataclass(frozen=True)
class AlignedFile:
    """What came of it; `judged` is None where nothing was fitted, for the reason that the screen has."""

    folder: Path
    judged: Judged | None

    @property
    def gains(self) -> bool:
        return self.judged is not None and self.judged.verdict.gains


def align_file(request: Request, workspace: Workspace, folder: Path, replace_out: bool = False) -> AlignedFile:
    """Look at the grader, fit, evaluate on held-out rows, and write the folder.

    Raises UserError for what a run refuses, for several methods, and where `folder` holds something else.
    """
    config, method, screen = _config(request), request.methods[0], Terminal()
    asked = asked_from_anywhere(config)
    require_free(folder, asked, replace_out)
    if not _holds(folder, asked):
        found = graded(config, workspace)
        show_findings(found, screen)
        if found.problems:
            return AlignedFile(folder, None)
    ranks = join_ranks()
    run = complete(config, _within(workspace), ranks)
    ranks.leave()
    stored = load_run(run)
    table = comparison(stored)
    judgement = judged(stored, table, method)
    if ranks.first:
        write_report(stored, table)
        keep(run / "fitted", folder, read_fitted(run / "fitted"))
        with whole(folder / "report.md") as part:
            part.write_text(report_of(judgement, stored, beside_here(folder)), encoding="utf-8")
        print(f"tables of the run: {run}", file=sys.stderr)
    return AlignedFile(folder, judgement)


def preview_alignment(request: Request, workspace: Workspace) -> Preview:
    """What `align_file` would do after it has looked at the grader; nothing is done. Raises UserError likewise."""
    return preview(_config(request), _within(workspace), told_by=workspace.out)


def show_aligned(made: AlignedFile, terminal: Terminal | None = None) -> None:
    """The verdict, and where to go on."""
    screen = terminal or Terminal()
    if made.judged is None:
        return
    verdict = made.judged.verdict
    screen.say_after("verdict", verdict.said, "bold green" if verdict.gains else "bold red")
    if made.judged.row.is_one_reward:
        screen.say_after(
            "mind", "the grader that judges is the one that was optimised (--gold takes another)", "yellow"
        )
    screen.say_after("report", beside_here(made.folder / "report.md"))
    screen.say_after("next", f'harness generate {beside_here(made.folder)} --prompt "..."')


def _config(request: Request) -> RunConfig:
    if len(request.methods) != 1 or request.methods[0] in ("base", "base_greedy", "all"):
        raise UserError(f"--method {','.join(request.methods)}: align fits one method; name it, such as iro")
    return resolve(request.with_given(NO_TREES))


def _within(workspace: Workspace) -> Workspace:
    """The tables of such a run lie in the cache: its folder has what answers need, and the report."""
    return replace(workspace, out=workspace.cache / "aligned", name=None)


def _holds(folder: Path, asked: dict[str, object]) -> bool:
    return (folder / "about.json").is_file() and read_about_fitted(folder).asked == asked
