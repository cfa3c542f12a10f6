"""Many mixed requests to `harness serve`: python -m tests.soak toy --requests 1000 [--to results/reliability]

    toy             a toy run: the same seed gives the same text, alone or in company
    real            SmolLM2 from the cache: log-probabilities alone and in company within 1e-4, other texts counted

Makes a small run, serves it in a process of its own, asks five broken requests in a hundred, 32 at a time, and prints a
line a problem. Adds the numbers, with the command that made them, to FOLDER/soak.jsonl.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.core.files import cache_folder
from harness.running.provenance import commit_of_code
from tests.soak.company import BOUND, company_of
from tests.soak.mixed import soaked
from tests.soak.served import REAL, served


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("what", choices=("toy", "real"))
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--again", type=int, default=40, help="texts that are asked for once more, alone")
    parser.add_argument("--to", type=Path, help="folder of the numbers")
    given = parser.parse_args()
    place, started = Path(tempfile.mkdtemp(prefix="soak-")), time.time()
    try:
        found = _found(given, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    commit, dirty = commit_of_code()
    command = " ".join(["python -m tests.soak", *sys.argv[1:]])
    line = {"command": command, "commit": commit[:10], "dirty": dirty, "seconds": round(time.time() - started), **found}
    print(json.dumps(line))
    if given.to is not None:
        given.to.mkdir(parents=True, exist_ok=True)
        with (given.to / "soak.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return 1 if found["problems"] else 0


def _found(given: argparse.Namespace, place: Path) -> dict[str, Any]:
    cache = place / "cache" if given.what == "toy" else cache_folder()
    with served(given.what, place, cache) as server:
        before = time.time()
        of = soaked(server.url, server.memory, given.requests, given.at_once, given.again)
        asking = round(time.time() - before)
        problems = [*of.problems, *filter(None, [server.ended()])]
    more: dict[str, Any] = {}
    if given.what == "toy":
        problems += [f"{of.others} of {of.again} texts came out otherwise alone"] if of.others else []
    else:
        from harness.core.models.loading import load_policy

        company = company_of(load_policy(REAL, "cpu", "float32", cache), given.requests)
        more["company"] = company.data()
        far = f"log-probabilities move by {company.largest_nats:.2g} nats with their company"
        problems += [far] if company.largest_nats > BOUND else []
    for problem in problems:
        print(problem, file=sys.stderr, flush=True)
    return {
        "requests": given.requests, "at_once": given.at_once, "asking_seconds": asking,
        "outcomes": dict(sorted(of.outcomes.items())), "memory_mb": of.memory_mb, "asked_again_alone": of.again,
        "other_texts": of.others, **more, "problems": len(problems), "examples": problems[:5],
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
