"""The fits of a method, iteration by iteration: what each is fitted on, and the key that names what came of it.

for made in fits(context, "iro", method, pool, fit_slices):
    made.iteration, made.rollouts, made.report, made.key        # and `method` stands as it was fitted

With `--refits K` everything is fitted K times on the same base samples: other prompts are held out to choose by, and
the streams of fitting are others, so that later iterations are fitted on other searches, too. The first is the run's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.core.as_before import hashed
from harness.core.digest import digest
from harness.core.generator import Generator
from harness.core.types import Candidate, FitReport, Prompt
from harness.evidence.schema import GOLD, PROXY, Row
from harness.running.identity import method_code
from harness.running.scoring import key_of, score
from harness.running.stages import Pool, RunContext, answer, fit, label_of, roll_out


@dataclass(frozen=True)
class Made:
    iteration: int
    rollouts: Sequence[Candidate]
    report: FitReport
    key: str


def first_key(name: str, method: Generator, pool: Pool) -> str:
    """What names a method before it has fitted anything."""
    parts = {"method": method.fitted_as or name, "scale": asdict(pool.proxy), "code": method_code(method)}
    return digest({**parts, **({"refit": method.refit} if method.refit else {})})


def fits(
    context: RunContext, name: str, method: Generator, pool: Pool, fit_slices: Sequence[list[Prompt]]
) -> Iterator[Made]:
    """Fit every iteration of a method in turn; refits are charged under a name of their own."""
    charged, key = charged_as(name, method.refit), first_key(name, method, pool)
    for iteration in range(1, method.iterations + 1):
        key = digest([key, hashed(method.fit_config(method.config, iteration))])
        rollouts: Sequence[Candidate]
        if iteration == 1:
            rollouts, key = pool.candidates, digest([key, pool.result.key])
            context.charge(charged, iteration, pool.result)
        else:
            rollouts, key = roll_out(context, charged, iteration, method, key, fit_slices[iteration - 1])
        report, key = fit(context, charged, iteration, method, key, rollouts)
        yield Made(iteration, rollouts, report, key)


def fitted_again(
    context: RunContext,
    name: str,
    refit: int,
    pool: Pool,
    fit_slices: Sequence[list[Prompt]],
    test: Sequence[Prompt],
) -> list[dict[str, Any]]:
    """Raw gold and proxy of every answer of a method after another fit: rows of refits.parquet."""
    method = context.method(name, pool.proxy)
    method.refit = refit
    rows: list[dict[str, Any]] = []
    for made in fits(context, name, method, pool, fit_slices):
        charged = charged_as(name, refit)
        answers = answer(context, charged, made.iteration, method, made.key, test)
        picked = [a.pick(pick) for a in answers for pick in a.picks]
        label = f"{label_of(charged, made.iteration)}: scores"
        scores = score(context, label, charged, made.iteration, picked, nll=False)
        rows += [
            {
                **Row(name, made.iteration, pick)._asdict(), "refit": refit,
                "prompt_id": a.prompt.id, "response": a.pick(pick).text,
                **{metric: scores[key_of(a.pick(pick))][metric] for metric in (GOLD, PROXY)},
            }
            for a in answers
            for pick in a.picks
        ]  # fmt: skip
    return rows


def charged_as(name: str, refit: int) -> str:
    """Who pays for a fit of a method: refits have names of their own."""
    return f"{name} (refit {refit})" if refit else name
