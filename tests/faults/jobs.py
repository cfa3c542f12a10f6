"""The toy commands that are broken, and what must be the same bytes at their end whatever happened in between."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from tests.faults.child import made_apart

HERE = Path(__file__).parent
_QUICK = [
    "--set",
    "fit.samples=4",
    "--set",
    "fit.layers=[1]",
    "--set",
    "iro.value.epochs=1",
    "--set",
    "iro.value.poolings=[last]",
]
_TOY = ["--task", "toy", "--set", "fit.prompts=12", "--set", "batch.rows=16"]
_FEW = [*_TOY, *_QUICK, "--method", "iro", "--set", "iro.iterations=2"]
_TIMED = ("seconds", "busy_seconds")  # what is measured, and so never the same twice


@dataclass(frozen=True)
class Job:
    """A command, and how its results are read; `prepare` puts the files there that it reads."""

    arguments: list[str]
    read: Callable[[Path], dict[str, bytes]]
    prepare: Callable[[Path], None] = lambda place: None

    def results(self, place: Path) -> dict[str, bytes]:
        """By name, what must be the same bytes."""
        return made_apart(lambda: self.read(place))


def of_run(place: Path) -> dict[str, bytes]:
    """Tables of all runs but the ledger, and what was fitted."""
    found = {}
    for pattern in ("**/runs/*/*.parquet", "**/runs/*/fitted/**/*.safetensors"):
        for path in sorted((place / "out").glob(pattern)):
            if path.name not in ("ledger.parquet", "table.parquet"):
                found[path.relative_to(place).as_posix()] = path.read_bytes()
    for path in sorted((place / "out").glob("**/runs/*/run.json")):
        found[path.relative_to(place).as_posix()] = str(json.loads(path.read_text())["status"]).encode()
    return found


def of_tuning(place: Path) -> dict[str, bytes]:
    found = of_run(place)
    for path in (place / "out" / "tuning").glob("*/tries.parquet"):
        found["tries"] = _untimed(path)
    for path in (place / "out" / "tuning").glob("*/chosen.yaml"):
        chosen = yaml.safe_load(path.read_text())
        chosen.pop("tuned", None)  # its budgets have seconds
        found["chosen"] = json.dumps(chosen, sort_keys=True).encode()
    return found


def of_ablation(place: Path) -> dict[str, bytes]:
    found = of_run(place)
    for path in (place / "out" / "ablations").glob("*/table.parquet"):
        found["table"] = _untimed(path)
    return found


def of_aligned(place: Path) -> dict[str, bytes]:
    """The folder that answers new prompts, but for its about.json, which has the commit and the version."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted((place / "aligned").rglob("*"))
        if path.is_file()
        and path.suffix in (".safetensors", ".json")
        and path.name not in ("about.json", "manifest.json")
    }


def _untimed(path: Path) -> bytes:
    table = pl.read_parquet(path.read_bytes())
    kept = [name for name in table.columns if not any(timed in name for timed in _TIMED)]
    return json.dumps(table.select(kept).to_dicts(), default=str).encode()


def _with_files(place: Path) -> None:
    (place / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"question {i} about topic {i % 2}"}) + "\n" for i in range(60)), encoding="utf-8"
    )
    shutil.copy(HERE / "letters.py", place / "letters.py")


JOBS = {
    "run": Job(["run", *_FEW, "--limit", "12", "--workers", "1", "--out", "out"], of_run),
    "tune": Job(["tune", *_FEW, "--limit", "8", "--tries", "2", "--workers", "1", "--out", "out"], of_tuning),
    "ablate": Job(
        ["ablate", *_FEW, "--axis", "keep", "--values", "rows,all", "--limit", "8", "--workers", "1", "--out", "out"],
        of_ablation,
    ),
    "align": Job(
        ["align", "--data", "prompts.jsonl", "--grader", "letters.py:letters", "--model", "toy", "--workers", "1",
         "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", *_QUICK,
         "--set", "iro.iterations=1", "--out", "aligned"],
        of_aligned, _with_files,
    ),
}  # fmt: skip
PARALLEL = Job(["run", *_FEW, "--limit", "12", "--workers", "2", "--out", "out"], of_run)
