"""`python -m harness tune --method all --tries 8`: settings of each method, searched on development prompts.

Every method gets as many tries over the settings that it names (`Generator.tunables`), the defaults first (see
search.py). Where the best lies at an end of a range, the range grows and as many tries follow for that method alone, up
to `--most-tries`; who still ends at an edge is marked from then on. The best mean gold wins, of the last iteration and
the pick that needs least at test time; of equals the cheaper. OUT/tuning/<task>-<profile>-<hash>/ holds every try, a
report with gold against each setting, and a file for `run --config`. The same command finds its tries again; with more
`--tries` or `--most-tries` the search goes on from where it stopped. With `--iterations K` the tries of a method that
iterates fit K value functions; what is chosen is for as many as the profile has, and what changes nothing before
iteration K + 1 is left as it is.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import to_disk, whole
from harness.core.json_file import read_json, write_json
from harness.core.lock import LOCKS
from harness.core.nested import flatten, nested
from harness.core.printable import printable
from harness.core.streams import Streams
from harness.core.tuning import Facts, Numeric
from harness.evidence.proven_table import write_proven
from harness.evidence.row import Comparison, flat
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.evidence.tuning import write_tuning
from harness.methods import METHODS
from harness.running.config import RunConfig, annotation_of, iterations_of, names_of, resolve
from harness.running.preview import Preview, preview
from harness.running.ranks import Ranks, join_ranks
from harness.running.request import NO_TREES, Given, Request, Workspace
from harness.running.run import complete
from harness.running.settings_source import DEFAULTS, settings_from
from harness.sweeps.search import End, Point, Space, Tried, best_of, beyond, first_points, open_ends, refined
from harness.tasks import TASKS

PROMPTS = 64  # of the development slice, unless --limit says otherwise
ROUNDS = 3  # of as many tries as a method has, at most, unless --most-tries says otherwise
_PICKS = ("value", "first", "reward")  # cheapest first: which row of a method is compared
_GOES_ON = "the search goes on from the tries of sessions that have ended, and of this one"
_PAIRS = TypeAdapter(list[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]])


def tune(
    tries: int, most: int | None, request: Request, workspace: Workspace, iterations: int | None = None
) -> Path | None:
    """Search, choose, write what was found; its folder, None in launched processes that write nothing."""
    most = most_tries(tries, most)
    asked = _asked(request)
    plain = resolve(asked)
    folder, ranks = _folder(plain, workspace, iterations), join_ranks()
    with ranks.alone(workspace.out / LOCKS / f"tuning-{folder.name}", f"the tuning {folder.name}"):
        sessions = ranks.of_first(_sessions(folder, (tries, most)) if ranks.first else [])
        searches = []
        for name in plain.methods:
            search = _Search(name, asked, plain, replace(workspace, out=folder), ranks, iterations)
            for session in sessions:
                search.go_on(*session)
            searches.append(search)
        if ranks.first:
            _write(folder, plain, request, searches, sessions)
            write_tuning(folder)
    ranks.leave()
    return folder if ranks.first else None


def preview_tuning(request: Request, workspace: Workspace, iterations: int | None = None) -> dict[str, Preview]:
    """The first try of each method, with its defaults; none is done. What follows depends on what they would find."""
    asked = _asked(request)
    plain = resolve(asked)
    within, found = replace(workspace, out=_folder(plain, workspace, iterations)), dict[str, Preview]()
    for name in plain.methods:
        config = _Search(name, asked, plain, within, Ranks(), iterations).config({})
        speed = next((one.speed for one in found.values() if one.speed is not None), None)
        found[name] = preview(config, within, speed=speed, told_by=workspace.out)
    return found


def most_tries(tries: int, most: int | None) -> int:
    """Tries that a method has at most. Raises UserError for fewer than it has anyway."""
    most = ROUNDS * tries if most is None else most
    if most < tries:
        raise UserError(f"--most-tries {most}: give at least --tries, which is {tries}")
    return most


def _asked(request: Request) -> Request:
    """The request on development prompts. Raises UserError where it names others."""
    if slices := [value for key, value in request.given if key == "evaluate.slice" and value != "development"]:
        raise UserError(f"evaluate.slice = {slices[0]!r}: tune looks at development prompts only; leave it out")
    limit = _development_prompts(request) if request.limit is None else request.limit
    asked = replace(request, limit=limit, only=True, given=(NO_TREES, *request.given))
    return asked.with_given(("evaluate.slice", "development"))


def _folder(plain: RunConfig, workspace: Workspace, iterations: int | None) -> Path:
    declared = {name: [repr(one) for one in METHODS[name].tunables_of(plain.settings[name])] for name in plain.methods}
    made_of = [plain.asked(), declared, *([] if iterations is None else [iterations])]
    return workspace.out / "tuning" / f"{plain.task}-{plain.profile}-{digest(made_of)[:10]}"


@dataclass(frozen=True)
class Judged:
    """What a try came to."""

    row: Comparison  # of the last iteration, whose pick costs least
    seconds: float  # of fitting and answering
    prompts: int  # that it answered, whether or not each has a score


@dataclass(frozen=True)
class Try:
    """One run of a method alone, and the row of its table that is compared."""

    point: Point
    settings: Mapping[str, Any]  # of the method, beside the profile's, by dotted name
    why: str
    run_id: str
    tried: Tried
    judged: Judged | None  # None in launched processes that write nothing


@dataclass
class _Search:
    """The search of one method: its tries so far, and the ranges as they stand."""

    name: str
    asked: Request
    plain: RunConfig
    workspace: Workspace
    ranks: Ranks
    iterations: int | None = None  # that its tries have at most, where it iterates
    tries: list[Try] = field(default_factory=list)
    until: int = 0  # tries that it has as things stand

    def __post_init__(self) -> None:
        kind, config = METHODS[self.name], self.plain.settings[self.name]
        self._effects: dict[str, str] = {}
        facts = Facts(kind.budget(config), self.plain.settings["sampler"].max_new_tokens)
        for setting in (setting for one in kind.tunables_of(config) for setting in one.of(facts).names):
            annotation_of(f"{self.name}.{setting}", {self.name: kind.Config})  # raises where there is no such setting
        self._given = _for(self.name, self.plain, self.asked.given)
        if self.is_cut:
            self._given.append((f"{self.name}.iterations", self.iterations))
        self.space = Space.of(kind.tunables_of(config), dict(flatten(asdict(config))), facts, self._effect)

    @property
    def is_cut(self) -> bool:
        """Whether its tries fit fewer value functions than what is chosen will."""
        kind, config = METHODS[self.name], self.plain.settings[self.name]
        settable = "iterations" in names_of(kind.Config)
        return settable and self.iterations is not None and iterations_of(kind, config) > self.iterations

    @property
    def tried(self) -> list[Tried]:
        return [one.tried for one in self.tries]

    @property
    def best(self) -> Try:
        return self.tries[self.tried.index(best_of(self.tried))]

    @property
    def edges(self) -> list[End]:
        """Where the best is open: the gold may rise further."""
        return open_ends(self.space, self.tried)

    def go_on(self, tries: int, most: int) -> None:
        """Search until there are `tries`, and in rounds of as many while the best is at an edge, up to `most`."""
        self.until = tries
        if not self.tries:
            rng = Streams(self.plain.seed).generator("tune", self.name)
            for i, point in enumerate(first_points(self.space, max(1, tries // 2), rng)):
                self._attempt(point, "spread out" if i else "defaults")
        self._refine(tries)
        while self.edges and len(self.tries) < most:
            before = len(self.tries)
            until = self.until = min(before + tries, most)
            ends = ", ".join(end.label for end in self.edges)
            self.space, points = beyond(self.space, self.tried, max(1, (until - before) // 2))
            for point in points:
                self._attempt(point, f"beyond the end of {ends}")
            self._refine(until)
            if len(self.tries) == before:
                return

    def _refine(self, until: int) -> None:
        while len(self.tries) < until and (point := refined(self.space, self.tried)) is not None:
            self._attempt(point, "around the best")

    def _attempt(self, point: Point, why: str) -> None:
        settings = {} if why == "defaults" else self.space.settings(point)
        config = self.config(settings)
        place = f"{self.name}, try {len(self.tries) + 1} of {max(self.until, len(self.tries) + 1)}"
        folder = complete(config, self.workspace, self.ranks, place=place)
        judged = _judged(folder, self.name) if self.ranks.first else None
        row = None if judged is None else judged.row
        cost = 0.0 if row is None else row.costs.flops or row.costs.policy_tokens
        gold, cost = self.ranks.of_first((0.0 if row is None else row.gold.value, cost))
        self.tries.append(Try(point, settings, why, folder.name, Tried(point, gold, cost), judged))

    def config(self, settings: Mapping[str, Any]) -> RunConfig:
        """The run of a try."""
        alone = replace(self.asked, methods=(self.name,), given=self._given)
        return resolve(alone.with_given(*((f"{self.name}.{name}", value) for name, value in settings.items())))

    def _effect(self, settings: Mapping[str, Any]) -> str:
        """Equal for settings that lead to the same fits and answers."""
        key = digest(settings)
        if key not in self._effects:
            kind, config = METHODS[self.name], self.config(settings).settings[self.name]
            last = iterations_of(kind, config)
            fits = [kind.fit_config(config, i) for i in range(1, last + 1)]
            self._effects[key] = digest([asdict(one) for one in (*fits, kind.answer_config(config, last))])
        return self._effects[key]

    def about(self) -> dict[str, Any]:
        """What the report says of the search, as plain data."""
        ranges = {
            t.label: {
                "scale": t.scale,
                "when": None if t.when is None else asdict(t.when),
                **({"low": t.low, "high": t.high} if isinstance(t, Numeric) else {"values": list(t.values)}),
            }
            for t in self.space.tunables
        }
        return {"tunables": ranges, "edges": [str(end) for end in self.edges], **self.budget()}

    def budget(self) -> dict[str, Any]:
        """What it had: tries, prompts of each, FLOPs and seconds as if each had worked alone, iterations if cut."""
        made = [one.judged for one in self.tries if one.judged is not None]
        flops = [
            one.row.costs.flops * one.prompts + one.row.costs.fit_flops
            for one in made
            if one.row.costs.flops is not None and one.row.costs.fit_flops is not None
        ]
        return {
            "tries": len(self.tries),
            "prompts": made[0].prompts,
            "flops": sum(flops) if len(flops) == len(made) else None,
            "seconds": sum(one.seconds for one in made),
            **({"iterations": self.iterations} if self.is_cut else {}),
        }


def _sessions(folder: Path, now: tuple[int, int]) -> list[tuple[int, int]]:
    """`tries` and `most` of every command that worked on this tuning, this one last; on the disk before any work.

    Where the file is damaged, which a line says, those that ended stand in about.json.
    """
    path, stored = folder / "sessions.json", list[tuple[int, int]]()
    try:
        stored = _sessions_in(path)
    except UserError as error:
        print(printable(str(error)), file=sys.stderr)
        with suppress(UserError):
            stored = _sessions_in(folder / "about.json")
    sessions = stored if now in stored else [*stored, now]
    write_json(path, {"sessions": sessions})
    to_disk([path])
    return sessions


def _sessions_in(path: Path) -> list[tuple[int, int]]:
    """Those that a file holds; none where there is none. Raises UserError where it does not hold such pairs."""
    if not path.exists():
        return []
    try:
        return _PAIRS.validate_python(read_json(path, _GOES_ON).get("sessions"))
    except ValidationError as error:
        raise UserError(f"{path} has other sessions than were written; {_GOES_ON}") from error


def _for(name: str, plain: RunConfig, given: Given) -> list[tuple[str, Any]]:
    """The settings given that a run of this method alone knows; best-of-n keeps the n it has beside the others."""
    others = set(plain.methods) - {name}
    n = [("best_of_n.n", plain.settings[name].n)] if name == "best_of_n" else []
    bare = {key for key, _ in given if "." not in key and key not in names_of(METHODS[name].Config)}
    return [(key, value) for key, value in given if key.split(".")[0] not in others | bare] + n


def _judged(folder: Path, name: str) -> Judged:
    run = load_run(folder)
    table = comparison(run)
    last = max(row.key.iteration for row in table)
    row = min((row for row in table if row.key.iteration == last), key=lambda row: _PICKS.index(row.key.final_pick))
    work = run.ledger.filter(pl.col("method") == name, pl.col("phase").is_in(["fit", "generate"]))
    return Judged(row, float(work["seconds"].sum()), run.completions["prompt_id"].n_unique())


def _write(
    folder: Path, plain: RunConfig, request: Request, searches: list[_Search], sessions: list[tuple[int, int]]
) -> None:
    """tries.parquet, about.json and chosen.yaml."""
    columns = [
        {
            "method": search.name, "try": i, "why": one.why, "chosen": one is search.best, "run_id": one.run_id,
            "settings": yaml.safe_dump(nested(one.settings)), "point": json.dumps(dict(one.point)),
            "seconds": one.judged.seconds, **flat(one.judged.row),
        }
        for search in searches
        for i, one in enumerate(search.tries, 1)
        if one.judged is not None
    ]  # fmt: skip
    write_proven(pl.DataFrame(columns, infer_schema_length=None), folder / "tries.parquet")
    about = {"sessions": sessions, "methods": {search.name: search.about() for search in searches}}
    write_json(folder / "about.json", about)
    with whole(folder / "chosen.yaml") as part:
        part.write_text(
            yaml.safe_dump(_chosen(folder.name, plain, request, searches), sort_keys=False), encoding="utf-8"
        )


def _development_prompts(request: Request) -> int:
    """`PROMPTS`, or all that a file of the user's has."""
    task = TASKS.name_of(request.task)
    plain = resolve(replace(request, methods=("base",), only=True, given=_of_task(task, request), tuned=None))
    sizes = TASKS[task].sizes(plain.settings[task])
    there = PROMPTS if sizes is None else sizes["development"]
    if not there:
        raise UserError("the data has no development prompts, which `tune` chooses by; add some to its file")
    return min(PROMPTS, there)


def _of_task(task: str, request: Request) -> Given:
    return [(key, value) for key, value in request.given if key.partition(".")[0] == task]


def _chosen(name: str, plain: RunConfig, request: Request, searches: list[_Search]) -> dict[str, Any]:
    """What `run --config` takes: the request, and the best settings of each method."""
    given = [(key, value) for key, value in request.given if not key.startswith("evaluate.")]
    chosen: dict[str, Any] = {part: getattr(plain, part) for part in ("model", "profile", "seed")}
    chosen |= {"task": TASKS.origin(plain.task).reference}
    chosen |= {"preset": request.preset} if request.preset else {}
    chosen |= {"method": ",".join(METHODS.origin(one).reference for one in plain.methods), "set": dict(given)}
    if settings_from(plain) == DEFAULTS:  # settings given by hand stay so, whatever was tuned beside them
        edges = {search.name: [str(end) for end in search.edges] for search in searches if search.edges}
        chosen["tuned"] = {"name": name, "edges": edges, "budgets": {s.name: s.budget() for s in searches}}
    return chosen | {search.name: nested(search.best.settings) for search in searches if search.best.settings}
