"""Equal commands at once: one does the run, the others find it done, and its bytes are those of one alone."""

from dataclasses import dataclass
from pathlib import Path

from tests.faults.child import begin
from tests.faults.jobs import Job
from tests.faults.kills import difference, reference


@dataclass(frozen=True)
class Together:
    commands: int
    did_the_run: int  # must be 1
    openings: int  # of the test slice, which must be as many
    problem: str


def together(job: Job, count: int, place: Path) -> Together:
    """Start `count` equal commands in one place, and wait for all."""
    expected, code, _ = reference(job, place / "whole")
    folder = place / "together"
    folder.mkdir()
    job.prepare(folder)
    children = [begin(job.arguments, folder, output=folder / f".output-{i}") for i in range(count)]
    ended = [child.wait(limit=600) for child in children]
    did = sum("is done (commit" not in one.text for one in ended)
    wrong = [one.text[-300:] for one in ended if one.code != code or one.is_traceback or one.hangs]
    openings = sum(path.read_text().count("\n") for path in folder.glob("out/runs/*/openings.jsonl"))
    return Together(count, did, openings, "; ".join(wrong) or difference(expected, job.results(folder)))
