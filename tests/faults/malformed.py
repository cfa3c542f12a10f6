"""Odd inputs over every command: options, files of prompts, graders, configurations, stored runs, annotations.

Hypothesis makes the values; each becomes the words of one command and the files that it reads. A traceback and a hang
are what must not come of any. How it ends besides is the command's business.
"""

import json
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.faults.child import call
from tests.faults.jobs import JOBS
from tests.tasks.lm_eval_made_here import write_toyqa

_LIMIT = 60.0  # seconds
_BLOCK = 100  # inputs that hypothesis makes at once, so that those of a number do not depend on how many are asked for
_FEW = ["--set", "fit.prompts=12", "--set", "fit.samples=2", "--set", "fit.layers=[1]", "--workers", "1"]
_WORD = st.one_of(
    st.sampled_from(["", "-1", "0", "1e309", "nan", "null", "~", "[]", "{}", "[[[", "!!python/name:os.system", "a=b",
                     "=", "..", "../..", "/", "/dev/null", "/dev/full", "exp[1]", "*", "a\x1b[31mb", "ü", "日本",
                     "\ud800",
                     "x" * 300, "toy", "latest", "iro", "iro,iro", "all", "base:first", "\n", "1,2", "0x10", "1_000",
                     "-", "--", "--out", "%s", "{0}", "$(x)", "a|b", "<img>", "yes", "2026-13-45", "&a [*a]"]),
    st.text(max_size=12), st.integers().map(str), st.floats().map(str),
)  # fmt: skip
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda of: st.one_of(st.lists(of, max_size=3), st.dictionaries(st.text(max_size=8), of, max_size=3)),
    max_leaves=8,
)
_BYTES = st.one_of(st.binary(max_size=64), _JSON.map(lambda data: json.dumps(data).encode()), _WORD.map(
    lambda text: text.encode("utf-8", "surrogatepass")))  # fmt: skip
_Options = dict[str, tuple[list[str], list[str]]]
_OPTIONS: _Options = {  # command -> words that it needs, and options that take a word
    "run": (["--task", "toy", *_FEW, "--limit", "4"],
            ["--method", "--task", "--model", "--profile", "--preset", "--seed", "--limit", "--refits", "--set",
             "--config",
             "--device", "--dtype", "--workers", "--out", "--data", "--grader", "--gold", "--name"]),
    "ablate": (["--task", "toy", *_FEW, "--limit", "4", "--dry-run"],
               ["--axis", "--values", "--method", "--set", "--out"]),
    "tune": (["--task", "toy", *_FEW, "--limit", "4", "--dry-run"], ["--tries", "--most-tries", "--method", "--set"]),
    "generate": (["RUN"], ["--method", "--iteration", "--prompt", "--file", "--pick", "--seed", "--out", "--model"]),
    "grade": (["--data", "prompts.jsonl", "--grader", "letters.py:letters", "--model", "toy"],
              ["--data", "--grader", "--gold", "--set", "--limit", "--config"]),
    "align": (["--data", "prompts.jsonl", "--grader", "letters.py:letters", "--model", "toy", "--out", "a",
               "--dry-run"],
              ["--data", "--grader", "--gold", "--set", "--limit", "--out", "--method"]),
    "runs": ([], ["--task", "--model", "--method", "--out"]),
    "report": (["RUN"], ["--reward-price", "--out"]),
    "view": (["--no-open"], ["--site", "--out"]),
    "export": (["RUN", "--csv"], ["--rows", "--columns", "--to", "--out"]),
    "figure": (["RUN"], ["--kind", "--rows", "--columns", "--format", "--to", "--out"]),
    "leaderboard": ([], ["--export", "--out"]),
    "name": (["RUN"], ["--remove", "--out"]),
    "judge": (["RUN"], ["--opponent", "--judge", "--method", "--final-pick", "--import", "--export", "--out",
                        "--iteration", "--opponent-method", "--prompt-file", "--key-variable"]),
    "cache": ([], ["--older", "--larger", "--kind", "--out"]),
    "list": ([], []),
    "rewards": ([], ["--export", "--out"]),
    "completion": ([], []),
}  # fmt: skip
_OTHER_OPTIONS: _Options = {
    "score": (["RUN", "--grader", "letters.py:letters"], ["--grader", "--data", "--endpoint", "--out"]),
    "compare": (["RUN", "FILE", "--metric-b", "gold"], ["--metric", "--metric-b", "--filter", "--out"]),
    "import": (["FILE", "--run", "RUN", "--method", "theirs"],
               ["--run", "--task", "--method", "--rows", "--filter", "--data", "--grader", "--out"]),
    "tax": (["RUN", "--tasks", "toyqa", "--include-path", "lm", "--limit", "2", "--max-new-tokens", "3",
             "--dataset-file", "train=lm/train.jsonl", "--dataset-file", "test=lm/test.jsonl"],
            ["--tasks", "--include-path", "--dataset-file", "--num-fewshot", "--limit", "--max-new-tokens", "--method",
             "--iteration", "--pick", "--model", "--out"]),
    "plan": (["plan.yaml"], ["--set", "--gpu"]),
    "serve": (["RUN", "--port", "99999"], ["--host", "--model", "--device", "--most-tokens", "--most-waiting"]),
    "bench": (["--model", "toy"], ["--model", "--repeats", "--out"]),
}  # fmt: skip
_FILES = ("prompts.jsonl", "grader.json", "config.yaml", "annotations.json", "prompts.csv", "prompts.parquet")
_ANSWERS = ("theirs.jsonl", "theirs.json", "theirs.csv", "theirs.parquet", "theirs.eval", "samples_theirs.jsonl")
_ROWS = "a row of answers"
GROUPS = {  # commands of this name, and the files that they read
    "run": (_OPTIONS, _FILES),
    "others": (_OTHER_OPTIONS, (*_ANSWERS, _ROWS, "grader.json", "plan.yaml", "lm/toyqa.yaml")),
}


@dataclass(frozen=True)
class Malformed:
    words: Sequence[str]
    file: str  # what was odd besides the words: a file of the run, or one that the command reads
    end: str  # worked, named, traceback, hang, or exit code n
    said: str


@dataclass
class _Asked:
    """The values that hypothesis made."""

    inputs: list[tuple[Any, ...]] = field(default_factory=list)


def malformed(group: str, numbers: Iterable[int], place: Path, seed: int) -> Iterator[Malformed]:
    """Call the commands of these numbers with odd inputs, in a place with a finished run."""
    numbers = list(numbers)
    whole = place / "whole"
    whole.mkdir(parents=True)
    JOBS["align"].prepare(whole)
    done = call([*JOBS["run"].arguments[:-2], "--out", "results"], whole)
    assert done.code == 0, done.text
    [run] = [path.name for path in (whole / "results" / "runs").iterdir()]
    if group == "others":
        _prepare_others(whole, run)
    for block in sorted({number // _BLOCK for number in numbers}):
        asked = _inputs(group, _BLOCK, seed * 1000 + block)
        for i in (number for number in numbers if number // _BLOCK == block):
            folder = place / f"odd-{i}"
            shutil.copytree(whole, folder)
            yield _called(group, asked[i % _BLOCK % len(asked)], folder, run, random.Random(f"{seed} {i}"))
            shutil.rmtree(folder)


def _prepare_others(place: Path, run: str) -> None:
    """Answers of somebody else, a task of lm-eval and a configuration to plan, all of them whole."""
    import harness.serve.http.server  # once, and not in every process
    import harness.serve.lm_eval_model  # noqa: F401

    done = call(["export", run, "--jsonl", "--rows", "base", "--to", "theirs.jsonl"], place)
    assert done.code == 0, done.text
    write_toyqa(place / "lm")
    (place / "plan.yaml").write_text("task: toy\n", encoding="utf-8")


def _inputs(group: str, count: int, seed: int) -> list[tuple[Any, ...]]:
    found, (options, files) = _Asked(), GROUPS[group]

    @seeded(seed)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.tuples(
            st.sampled_from(sorted(options)),
            st.lists(st.tuples(st.integers(0, 40), _WORD), max_size=3),
            st.lists(_WORD, max_size=1),
            st.sampled_from(["", *files, "run.json", "table", "key", "folder"]),
            _BYTES,
        )
    )
    def collect(one: tuple[Any, ...]) -> None:
        found.inputs.append(one)

    collect()
    return found.inputs[:count]


def _called(group: str, one: tuple[Any, ...], folder: Path, run: str, rng: random.Random) -> Malformed:
    command, options, extra, odd, content = one
    needed, names = GROUPS[group][0][command]
    words_for = {"RUN": run, "FILE": odd if odd in _ANSWERS else "theirs.jsonl"}
    words = [command, *(words_for.get(word, word) for word in needed)]
    for i, value in options:
        if names:
            words += [names[i % len(names)], value]
    words += [word for word in extra if rng.random() < 0.3]
    words = [word.replace("\x00", "").encode("utf-8", "surrogateescape" if "\ud800" not in word else "replace").decode()
             for word in words]  # fmt: skip
    file = _spoil(odd, content, folder, run, rng)
    if odd in _FILES:
        words += {"prompts.jsonl": ["--data", odd], "prompts.csv": ["--data", odd], "prompts.parquet": ["--data", odd],
                  "grader.json": ["--grader", odd], "config.yaml": ["--config", odd],
                  "annotations.json": ["--import", odd]}[odd] if _takes(command, odd) else []  # fmt: skip
    done = call(words, folder, limit=_LIMIT)
    end = {0: "worked", 1: "worked", 2: "named"}.get(done.code, f"exit code {done.code}")
    end = "hang" if done.hangs else "traceback" if done.is_traceback else end
    return Malformed(words, file, end, done.text[-900:])


def _takes(command: str, odd: str) -> bool:
    return command in {
        "annotations.json": ("judge",),
        "config.yaml": ("run", "tune", "ablate", "grade", "align"),
        "grader.json": ("run", "grade", "align", "score", "import"),
    }.get(odd, ("run", "grade", "align"))


def _spoil(odd: str, content: bytes, folder: Path, run: str, rng: random.Random) -> str:
    """Make one file odd; what was done, in words."""
    stored = folder / "results" / "runs" / run
    if odd == _ROWS:
        rows = [json.loads(line) for line in (folder / "theirs.jsonl").read_text(encoding="utf-8").splitlines()]
        row = rng.randrange(len(rows))
        path = _spoil_key(rows[row], rng)
        (folder / "theirs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
        return f"row {row} of theirs.jsonl, {path}"
    elif odd == "run.json":
        (stored / odd).write_bytes(content)
    elif odd == "table":
        table = rng.choice(sorted(stored.glob("*.parquet")))
        table.write_bytes(content)
        (stored / "manifest.json").unlink()  # as of a version that listed nothing
        return f"{table.name}, no manifest"
    elif odd == "key":  # of a version that proved nothing
        said = json.loads((stored / "run.json").read_text(encoding="utf-8"))
        said.pop("sha256")
        path = _spoil_key(said, rng)
        (stored / "run.json").write_text(json.dumps(said), encoding="utf-8")
        return f"run.json without a proof, {path}"
    elif odd == "folder":
        (folder / "results" / "runs" / rng.choice(["foreign", "x y", "<img>", "a|b"])).mkdir()
    elif odd:
        (folder / odd).write_bytes(content)
    return odd


def _spoil_key(said: dict[str, Any], rng: random.Random) -> str:
    """Remove a key, or give it a value of another kind, somewhere in nested data."""
    path, inner = [], said
    while True:
        key = rng.choice(sorted(inner))
        path.append(key)
        if isinstance(inner[key], dict) and inner[key] and rng.random() < 0.7:
            inner = inner[key]
            continue
        if rng.random() < 0.6:
            del inner[key]
            return f"without {'.'.join(path)}"
        inner[key] = rng.choice([None, [], {}, "../../PWNED", -1, 1e308, True, ["x"], {"a": 1}])
        return f"{'.'.join(path)} is {inner[key]!r}"
