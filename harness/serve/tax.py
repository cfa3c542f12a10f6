"""What an alignment costs elsewhere: base and aligned model on other generation tasks of lm-eval, paired by document.

found = tax(load("aligned/"), [Asked("gsm8k")], workspace)
found.rows[0].difference            # aligned - base, paired, with interval and p
found.verdict                       # "No metric falls beyond chance. ..."

Both write by the folder's sampling rule, from the same streams, and end where the task says. Finished batches are kept:
interrupted or repeated, it goes on from what is there.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import stored_text
from harness.core.json_file import read_json, write_json
from harness.core.lock import LOCKS, alone
from harness.core.printable import printable
from harness.core.progress import duration
from harness.core.statistics.stats import Estimate, difference, holm, mean
from harness.core.types import Prompt
from harness.serve.aligned import Aligned
from harness.tasks.lm_eval_task.opened import Asked, Opened
from harness.tasks.lm_eval_task.opening import open_task

BASE, GREEDY = "base", "base_greedy"
_VERSION = 1  # raised when a change alters numbers
_TOGETHER = 32  # documents of a batch that is kept


@dataclass(frozen=True)
class Compared:
    """One metric of one task; the difference is in its own units, and turned where lower is better."""

    task: str
    metric: str
    base: Estimate
    greedy: Estimate
    aligned: Estimate
    difference: Estimate  # aligned - base, turned round where lower is better: less than 0 is a loss
    p: float  # Holm over all rows
    unscored: int  # documents that the metric does not score, of either model
    lower_is_better: bool = False


@dataclass(frozen=True)
class Answered:
    """One answer of one of the models, as it is stored."""

    task: str
    model: str
    prompt_id: str
    prompt: str
    response: str
    policy_tokens: int


@dataclass(frozen=True)
class Tax:
    name: str  # of what is stored
    rows: Sequence[Compared]
    answers: Sequence[Answered]
    method: str
    fitted_on: Sequence[str]  # those of the tasks that the model was aligned on
    times: float  # policy tokens of an aligned answer, in those of the base

    @property
    def worse(self) -> list[Compared]:
        return [row for row in self.rows if row.p < 0.05 and row.difference.value < 0]

    @property
    def verdict(self) -> str:
        if self.worse:
            names = "; ".join(f"{row.task} {row.metric} {row.difference.shown('+.3f')}" for row in self.worse)
            return f"A tax: {names} (p < 0.05, Holm)."
        known = [row for row in self.rows if not np.isnan(row.difference.low)]
        if not known:
            return "Not known: fewer than two documents have a score in both models."
        lowest = min(known, key=lambda row: row.difference.low)
        return (
            f"No metric falls beyond chance. A loss that is not ruled out: {-min(lowest.difference.low, 0):.3f} of "
            f"{lowest.task} {lowest.metric} ({lowest.difference.n} documents)."
        )


def tax(
    aligned: Aligned,
    tasks: Sequence[Asked],
    cache: Path,
    limit: int | None = None,
    most_tokens: int | None = None,
    pick: str | None = None,
) -> Tax:
    """Answer the documents of each task, the first `limit` by id, by base, greedy base and the aligned model.

    Raises UserError for tasks that are none here, and for picks whose reward reads more than the answer.
    """
    opened = [open_task(asked) for asked in tasks]
    models = {BASE: aligned.unaligned(), GREEDY: aligned.unaligned(GREEDY), aligned.method: aligned}
    if len(models) < 3:
        raise UserError(
            f"{aligned.method} is the base itself; name the method that is to be compared with it (--method)"
        )
    rows, answers = list[Compared](), list[Answered]()
    for one in opened:
        prompts = _documents(one, limit)
        tokens = min(one.new_tokens, most_tokens or one.new_tokens)
        values = dict[str, list[dict[str, float]]]()
        for name, model in models.items():
            written = _answered(model.writing(stop=one.stop, max_new_tokens=tokens), one, prompts, cache, pick)
            values[name] = [_values(one, p, a.response) for p, a in zip(prompts, written, strict=True)]
            answers += written
        rows += [_compared(one, metric, [values[name] for name in models]) for metric in one.metrics]
    corrected = holm([row.difference.p for row in rows])
    rows = [replace(row, p=p) for row, p in zip(rows, corrected, strict=True)]
    spent = {name: np.mean([a.policy_tokens for a in answers if a.model == name]) for name in models}
    name = digest([[a.task, a.model, a.prompt_id, a.response] for a in answers])[:10]
    times = float(spent[aligned.method] / spent[BASE])
    own = [one.asked.name for one in opened if one.name == aligned.about.facts.get("title")]
    return Tax(f"{aligned.method}-{name}", rows, answers, aligned.method, own, times)


def _documents(opened: Opened, limit: int | None) -> list[Prompt]:
    """All that lm-eval evaluates, without those that repeat another, by id."""
    distinct = {prompt.id: prompt for _, prompt in opened.evaluated}
    return sorted(distinct.values(), key=lambda prompt: prompt.id)[:limit]


def _answered(
    model: Aligned, opened: Opened, prompts: Sequence[Prompt], cache: Path, pick: str | None
) -> list[Answered]:
    """A batch after the other, from the cache where it is there."""
    started, found = time.perf_counter(), list[Answered]()
    chosen = pick if model.method not in (BASE, GREEDY) else None
    of = [_VERSION, model.identity, chosen, opened.name]
    with alone(cache / LOCKS / f"tax-{digest(of)[:20]}", f"the set of answers of {model.method} to {opened.name}"):
        for start in range(0, len(prompts), _TOGETHER):
            # methods see neither the document nor its reference, and so does a reward that the pick asks
            batch = [replace(prompt, row={}, reference=None) for prompt in prompts[start : start + _TOGETHER]]
            said = [[p.id, p.text, [[m.role, m.content] for m in p.messages or ()]] for p in batch]
            path = cache / "tax" / f"{digest([of, said])[:20]}.json"
            stored = _stored(path, len(batch))
            if stored is None:
                stored = [(a.text, a.policy_tokens) for a in model.answered(batch, pick=chosen)]
                write_json(path, {"answers": stored})
            found += [
                Answered(opened.name, model.method, prompt.id, _shown(prompt), text, tokens)
                for prompt, (text, tokens) in zip(batch, stored, strict=True)
            ]
    seconds = duration(time.perf_counter() - started)
    print(f"{opened.name}, {model.method}: {len(found)} documents in {seconds}", file=sys.stderr, flush=True)
    return found


def _stored(path: Path, count: int) -> list[tuple[str, int]] | None:
    """Texts and policy tokens of a kept batch; None where there is none to be believed, which is answered again."""
    if not path.exists():
        return None
    try:
        kept = json.loads(stored_text(path))
        answers = kept if isinstance(kept, list) else read_json(path, "")["answers"]  # a list: of earlier versions
        if len(answers) != count:
            raise ValueError(f"{len(answers)} answers to {count} documents")
        return [(str(text), int(tokens)) for text, tokens in answers]
    except (UserError, ValueError, LookupError, TypeError, RecursionError) as error:
        print(printable(f"{path} is damaged ({error}); answered again"), file=sys.stderr)
        return None


def _values(opened: Opened, prompt: Prompt, response: str) -> dict[str, float]:
    """NaN, by being left out, where the task's own Python fails on an answer."""
    try:
        return opened.values(prompt.row, response)
    except Exception:  # whatever filters and metrics raise; such documents are counted
        return {}


def _compared(opened: Opened, metric: str, values: Sequence[Sequence[dict[str, float]]]) -> Compared:
    base, greedy, aligned = (np.array([of.get(metric, np.nan) for of in one]) for one in values)
    sign = 1.0 if opened.is_better_higher(metric) else -1.0
    paired = difference(sign * aligned, sign * base)
    return Compared(
        opened.asked.name,
        metric,
        mean(base),
        mean(greedy),
        mean(aligned),
        paired,
        paired.p,
        int((np.isnan(base) | np.isnan(aligned)).sum()),
        sign < 0,
    )


def _shown(prompt: Prompt) -> str:
    messages = prompt.messages or ()
    return prompt.text if prompt.text is not None else "\n".join(f"{m.role}: {m.content}" for m in messages)
