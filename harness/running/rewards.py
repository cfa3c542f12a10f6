"""The rewards that ship with the task imdb: what they are, and whether training anew gives the same ones.

python -m harness rewards                               # versions, sizes, accuracies
python -m harness rewards --rebuild                     # 20 minutes: trains both, says how far they agree
python -m harness rewards --rebuild --export FOLDER     # writes them as rewards ship, in tasks/imdb/shipped

Nothing that ships is replaced. Both pairs read the snippets that accuracies are measured on, and answers of the policy
from stored runs in OUT, where there are some: what rewards are for.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.streams import Streams
from harness.evidence.store import is_done, load_run
from harness.tasks.imdb.data import Split, load_split
from harness.tasks.imdb.gold import Gold
from harness.tasks.imdb.measured import Texts, accuracy, correlation, measured_texts
from harness.tasks.imdb.proxy import Proxy
from harness.tasks.imdb.rewards import trained_folder, trained_gold, trained_proxy
from harness.tasks.imdb.shipped import (
    FACTS,
    FOLDER,
    GOLD,
    PROXY,
    read_facts,
    shipped_gold,
    shipped_proxy,
    write_facts,
    write_weights,
)

ANSWERS = 2_000  # of stored runs, at most
COMMAND = "python -m harness rewards --rebuild --export FOLDER"


@dataclass(frozen=True)
class Scores:
    """Of one pair of rewards, in log-odds: (n,) for each text of a kind."""

    proxy: dict[str, np.ndarray]
    gold: dict[str, np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """Correlation of two proxies and of two golds on `n` texts of a kind."""

    n: int
    proxy: float
    gold: float


def shown() -> str:
    """What ships, from the facts that are stored with it. Raises UserError where a file is damaged."""
    facts = read_facts()
    sizes = {name: (FOLDER / name).stat().st_size / 1e6 for name in (PROXY, GOLD)}
    of_both = [(name, file, facts["versions"][name]) for name, file in (("proxy", PROXY), ("gold", GOLD))]
    lines = [
        f"The rewards that ship with the task imdb, in {FOLDER}:",
        *(
            f"  {name} {version}: {file}, {sizes[file]:.1f} MB, trained on {facts[f'{name}_reviews']:,} reviews, "
            f"accuracy {facts[f'{name}_accuracy']:.4f}"
            for name, file, version in of_both
        ),
        f"Accuracy is on {facts['measured_on']}. With the trained rewards that they were made of they correlate at",
        *(f"  {_line(kind, Agreement(**found))}" for kind, found in facts["agrees_with_trained"].items()),
        f"Made by `{facts['made_by']}`.",
    ]
    return "\n".join(lines)


def rebuild(out: Path, cache: Path, export: Path | None) -> str:
    """Train both rewards, where the cache has them not, and compare them with what ships; write them to `export`."""
    facts = read_facts()
    split = load_split("asset", cache)
    folder = trained_folder(cache, "asset", 0)
    weights, judge = trained_proxy(split.proxy, folder, cache), trained_gold(split.gold, folder, cache)
    texts = texts_to_read(split, out)
    rebuilt = scores_of(Proxy(weights), judge, texts)
    shipped = scores_of(shipped_proxy(), shipped_gold(cache), texts)
    snippets = texts["snippets"]
    lines = [
        f"Rebuilt from the reviews, in {folder} (remove it, and the same command trains them once more): "
        + _accuracies(rebuilt, snippets),
        f"Shipped, version {facts['versions']['proxy']} of the proxy and {facts['versions']['gold']} of the gold: "
        + _accuracies(shipped, snippets),
        "Rebuilt and shipped correlate at",
        *(f"  {_line(kind, found)}" for kind, found in agreement(rebuilt, shipped).items()),
    ]
    if export is None:
        return "\n".join([*lines, "Nothing was replaced."])
    with whole(export) as part:
        write_weights(weights, judge, cache, part)
        exported = scores_of(shipped_proxy(part), shipped_gold(cache, part), texts)
        counts = {"proxy": len(split.proxy), "gold": len(split.gold)}
        write_facts(facts_of(exported, rebuilt, snippets, counts), part)
    return "\n".join([*lines, f"Written to {export}, as rewards ship: {PROXY}, {GOLD}, {FACTS} and a manifest."])


def texts_to_read(split: Split, out: Path) -> dict[str, Texts]:
    """The measured snippets and, where OUT has runs of imdb, some of their answers with their prompts."""
    answers = stored_answers(out)
    found = {"snippets": measured_texts(split)}
    if answers:
        found["answers"] = Texts(answers, np.zeros(len(answers), dtype=bool), f"answers of stored runs in {out}")
    return found


def stored_answers(out: Path) -> list[str]:
    """Prompt and response of answers of all finished runs of imdb, drawn by a stream of their own; equal ones once."""
    distinct: dict[str, None] = {}
    for path in sorted((out / "runs").glob("imdb-*/run.json")):
        if is_done(path.parent):
            rows = load_run(path.parent).completions.select("prompt", "response")
            distinct |= dict.fromkeys(prompt + response for prompt, response in rows.iter_rows())
    drawn = Streams(0).generator("rewards", "answers").permutation(len(distinct))[:ANSWERS]
    texts = list(distinct)
    return [texts[i] for i in sorted(drawn.tolist())]


def scores_of(proxy: Proxy, gold: Gold, texts: dict[str, Texts]) -> Scores:
    """Both rewards of all texts; two minutes for 10,000."""
    return Scores(
        {kind: proxy(of.texts) for kind, of in texts.items()},
        {kind: gold.score(of.texts) for kind, of in texts.items()},
    )


def agreement(ours: Scores, theirs: Scores) -> dict[str, Agreement]:
    """By kind of text."""
    return {
        kind: Agreement(
            len(ours.proxy[kind]),
            correlation(ours.proxy[kind], theirs.proxy[kind]),
            correlation(ours.gold[kind], theirs.gold[kind]),
        )
        for kind in ours.proxy
    }


def facts_of(exported: Scores, trained: Scores, snippets: Texts, counts: dict[str, int]) -> dict[str, Any]:
    """What is stored beside exported rewards: measured on the files as they were written."""
    return {
        **{f"{name}_reviews": n for name, n in counts.items()},
        "proxy_accuracy": accuracy(exported.proxy["snippets"], snippets.positive),
        "gold_accuracy": accuracy(exported.gold["snippets"], snippets.positive),
        "measured_on": snippets.source,
        "agrees_with_trained": {kind: asdict(found) for kind, found in agreement(exported, trained).items()},
        "made_by": COMMAND,
    }


def require_rebuild(rebuilt: bool, export: Path | None) -> None:
    """Raises UserError where an export is asked for without a rebuilt pair, or under a name that is taken."""
    if export is not None and not rebuilt:
        raise UserError(
            f"--export {str(export)!r} writes what --rebuild trains; give both, or neither to see what ships"
        )
    if export is not None and export.exists():
        raise UserError(f"--export {str(export)!r} exists, and nothing is replaced; remove it, or name another folder")


def _accuracies(scores: Scores, snippets: Texts) -> str:
    found = [accuracy(of["snippets"], snippets.positive) for of in (scores.proxy, scores.gold)]
    return f"accuracy {found[0]:.4f} (proxy) and {found[1]:.4f} (gold) on {snippets.source}"


def _line(kind: str, found: Agreement) -> str:
    return f"{found.proxy:.5f} (proxy) and {found.gold:.5f} (gold) on {found.n:,} {kind}"
