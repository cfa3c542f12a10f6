"""A policy with what a method fitted for it, from a run's folder: it answers new prompts, and says what each took.

    aligned = harness.load("results/runs/imdb-3f2a")        # or the folder that harness.align wrote
    aligned.generate(["The film was"])                      # texts
    aligned.answers(["The film was"], pick="reward")        # with values, picks and costs

The same prompts, seed and pick give the same answers in any order. What else is asked with a prompt can change the last
digits of its scores, since these depend on the shape of a batch, and so which of two equally good texts is taken.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.core.as_before import hashed
from harness.core.contents import file_sha256, files_below
from harness.core.data.given import asked_like_the_file
from harness.core.digest import digest
from harness.core.errors import NotAnswering, UserError, unknown
from harness.core.files import read_whole
from harness.core.generator import Generator
from harness.core.given_prompts import prompts_of
from harness.core.given_reward import Reward
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.printable import printable
from harness.core.reward import RewardHandle, Scale
from harness.core.search.search import Observer
from harness.core.streams import Streams
from harness.core.types import Answer, Prompt
from harness.methods import METHODS
from harness.running.config import MODEL_ARGS, Batch, RunConfig
from harness.running.fitted import Fitted, FittedMethod, stored_settings
from harness.serve.aligned_answer import AlignedAnswer, Finalist
from harness.serve.asked_reward import AskedReward
from harness.serve.reward_of import reward_of

PICKS = ("value", "first", "reward")  # cheapest first


class Aligned:
    """One method after one of its iterations, over the model it was fitted on. `load` makes it."""

    def __init__(
        self,
        folder: Path,
        about: Fitted,
        method: str,
        iteration: int,
        config: RunConfig,
        policy: Policy,
        reward: Reward | None,
    ) -> None:
        self.folder, self.about, self.method, self.iteration = folder, about, method, iteration
        self._config, self._policy = config, policy
        self._reward = AskedReward(about, method, config.task, reward, lambda: reward_of(about, policy))
        self._ledger = Ledger()
        self._generators: dict[int, Generator] = {}  # by seed, the last one used
        self.pick = _default_pick(about, method)
        if self._reward.needed(self.pick):
            self._reward.require(self.pick)

    def __repr__(self) -> str:
        return f"<Aligned {self._config.model}: {self.method}, iteration {self.iteration}, from {self.folder}>"

    def generate(self, prompts: Iterable[Any], *, pick: str | None = None, seed: int | None = None) -> list[str]:
        """A text for each prompt: texts, lists of messages, rows with `prompt` or `messages`, or Prompts."""
        return [answer.text for answer in self.answers(prompts, pick=pick, seed=seed)]

    def answers(
        self, prompts: Iterable[Any], *, pick: str | None = None, seed: int | None = None, proxy: bool = False
    ) -> list[AlignedAnswer]:
        """The answers in full. `pick` says who chooses, by default the cheapest; `proxy` scores all finalists.

        Raises UserError for a pick that the method does not have, whose reward cannot be had, or scores none of them.
        """
        return self.answered(self._prompts(prompts), pick=pick, seed=seed, proxy=proxy)

    def answered(
        self, asked: Sequence[Prompt], *, pick: str | None = None, seed: int | None = None, proxy: bool = False
    ) -> list[AlignedAnswer]:
        """The same for Prompts, which are taken as they are: texts stay texts, whatever the data was."""
        pick = self.pick if pick is None else pick
        calls = self.about.methods[self.method].reward_calls
        if pick not in calls:
            raise unknown(f"final pick of {self.method}", pick, calls)
        self._reward.begin(pick, asked, all_of_them=proxy)
        distinct = _distinct(asked)
        generator = self._generator(self._config.seed if seed is None else seed)
        made: dict[str, AlignedAnswer] = {}
        for batch in self._batches(sorted(distinct.values(), key=lambda p: p.id)):
            started = time.perf_counter()
            with self._ledger.phase("generate"):
                answers = generator.generate(self._reward.bare(batch))
            self._ledger.drain()
            seconds = (time.perf_counter() - started) / len(batch)
            made |= {
                a.prompt.id: self._answer(replace(a, prompt=distinct[a.prompt.id]), pick, seconds, proxy)
                for a in answers
            }
        if unscored := self._reward.unscored(pick, list(distinct.values())):
            first = next(iter(unscored.values()))
            if len(unscored) == len(distinct):
                raise first
            rest = f"{len(unscored)} of {len(distinct)} answers are the first samples, which nobody picked ({first})"
            print(printable(rest), file=sys.stderr, flush=True)
        return [replace(made[prompt.id], unscored=prompt.id in unscored) for prompt in asked]

    def writing(self, **sampler: Any) -> "Aligned":
        """The same model with other settings of `sampler`, such as where its answers end: `stop`, `max_new_tokens`."""
        changed = replace(self._config.settings["sampler"], **sampler)
        return self._with(self.about, self.method, self.iteration, {"sampler": changed})

    def beside(self, method: str, iteration: int) -> "Aligned":
        """Another method of the same folder after one of its iterations, over the same model."""
        METHODS.name_of(self.about.methods[method].reference or method)
        settings = {method: stored_settings(method, METHODS[method].Config, self.about.asked["settings"][method])}
        return self._with(self.about, method, iteration, settings)

    def at_rows(self, rows: int) -> "Aligned":
        """The same model with another number of rows a prompt. Raises UserError where rows do not measure it."""
        kind, now = METHODS[self.method], self._config.settings[self.method]
        changed = {name: value for name, value in kind.settings_at(rows, 1).items() if name != "chunk"}
        changed = {"n": rows} if self.method == "best_of_n" else changed
        if kind.budget(now) is None or not changed:
            raise UserError(f"{self.method} has no number of rows that could be set; leave rows out")
        return self._with(self.about, self.method, self.iteration, {self.method: replace(now, **changed)})

    def written(
        self, asked: Sequence[Prompt], streams: Streams, pick: str, observe: Observer | None = None
    ) -> list[Answer]:
        """Answers as the method gives them, in the order of the prompts; each batch is drawn from `streams`.

        Nothing of a call outlives it, so that a server may call for as long as it runs.
        """
        self._reward.begin(pick, asked)
        generator = self._generator(self._config.seed)
        generator.streams, generator.observer = streams, observe
        made: dict[str, Answer] = {}
        for batch in self._batches(sorted(asked, key=lambda p: p.id)):
            with self._ledger.phase("generate"):
                answers = generator.generate(self._reward.bare(batch))
            self._ledger.drain()
            made |= {answer.prompt.id: answer for answer in answers}
        return [made[prompt.id] for prompt in asked]

    def require_answerable(self) -> None:
        """Raises UserError where its cheapest pick asks a reward that reads what new prompts do not bring."""
        if self._reward.needed(self.pick) and (reads := self._reward.columns):
            raise UserError(f"it asks the grader while it answers, which reads {', '.join(reads)} of the row: such "
                            "answers are an oracle's")  # fmt: skip

    def sampled_by(self, sampler: Sampler) -> "Aligned":
        """The same model under another sampling rule."""
        return self._with(self.about, self.method, self.iteration, {"sampler": sampler})

    @contextmanager
    def working(self) -> Iterator[PolicyHandle]:
        """The policy under its sampling rule, for work that is no method's; what it books is let go."""
        with self._ledger.phase("generate"):
            yield PolicyHandle(self._policy, self.sampler, self._ledger)
        self._ledger.drain()

    def unscored(self, pick: str, asked: Sequence[Prompt]) -> Mapping[str, NotAnswering]:
        """By id, of the prompts that were written last, those that the reward should have picked for and did not."""
        return self._reward.unscored(pick, asked)

    @property
    def together(self) -> int:
        """Prompts of which the rows are written in one batch, as far as the setting for it goes."""
        batch: Batch = self._config.settings["batch"]
        return max(1, batch.rows // self.rows)

    @property
    def generator(self) -> Generator:
        """The method itself, as `written` asks it."""
        return self._generator(self._config.seed)

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def rows(self) -> int:
        """Rows that are written together for one prompt."""
        return METHODS[self.method].rows_per_prompt(self._config.settings[self.method])

    def unaligned(self, method: str = "base") -> "Aligned":
        """The model by itself, under the same sampling rule: `base`, or `base_greedy`."""
        about = replace(self.about, methods={method: FittedMethod(None, [0], {"first": 0.0})})
        return self._with(about, method, 0, {method: METHODS[method].Config()})

    def _with(self, about: Fitted, method: str, iteration: int, settings: Mapping[str, Any]) -> "Aligned":
        config = replace(self._config, methods=(method,), settings={**self._config.settings, **settings})
        return Aligned(self.folder, about, method, iteration, config, self._policy, self._reward.given)

    @property
    def identity(self) -> str:
        """Hash of what shapes its answers to a prompt: the model, what was fitted and with which settings."""
        settings = {name: hashed(self._config.settings[name]) for name in ("sampler", "batch", MODEL_ARGS, self.method)}
        files = {name: file_sha256(self._fitted / name) for name in files_below(self._fitted)} if self.iteration else {}
        seed, engine = self._config.seed, [self._policy.engine, self._policy.device.type, self.about.dtype]
        method = [self.method, METHODS[self.method].version, self.iteration, self.about.reward_source]
        return digest([self.about.fingerprint, engine, method, settings, files, seed])

    @property
    def _fitted(self) -> Path:
        return self.folder / self.method / str(self.iteration)

    @property
    def sampler(self) -> Sampler:
        """How it draws tokens, and where its answers end."""
        sampler: Sampler = self._config.settings["sampler"]
        return sampler

    @property
    def model(self) -> str:
        return self._config.model

    def _answer(self, answer: Answer, pick: str, seconds: float, proxy: bool) -> AlignedAnswer:
        work = answer.work[pick]
        picks = [name for name in answer.picks if self._reward.asked or not answer.work[name].reward_calls]
        proxies = self._reward.proxies(answer.finalists, proxy)
        return AlignedAnswer(
            answer.prompt,
            answer.pick(pick).text,
            pick,
            {name: answer.pick(name).text for name in picks},
            tuple(
                Finalist(c.completion.text, c.score, value) for c, value in zip(answer.finalists, proxies, strict=True)
            ),
            work.policy_tokens,
            work.value_calls,
            work.value_tokens,
            work.reward_calls,
            seconds,
        )

    def _generator(self, seed: int) -> Generator:
        if seed not in self._generators:
            handle = PolicyHandle(self._policy, self._config.settings["sampler"], self._ledger)
            reward = RewardHandle(self._reward.score, self._ledger, Scale(**self.about.proxy))
            made = METHODS[self.method](self._config.settings[self.method], handle, reward, Streams(seed))
            if self.iteration:
                with read_whole(f"what {self.method} fitted, in {self._fitted},", "run its command again"):
                    made.load(self._fitted)
            self._generators = {seed: made}
        return self._generators[seed]

    def _batches(self, prompts: Sequence[Prompt]) -> list[list[Prompt]]:
        """Cut as a run cuts them: so many rows together, as far as memory for them goes."""
        kind, settings, batch = METHODS[self.method], self._config.settings[self.method], self._config.settings["batch"]
        rows = kind.rows_per_prompt(settings)
        longest = max((self._policy.prompt_length(p) for p in prompts), default=1)
        row = self._policy.row_bytes(longest, self._config.settings["sampler"].max_new_tokens, rows)
        together = min(batch.rows, int(batch.memory_gb * 2**30 / max(1, kind.memory_factor(settings) * row)))
        size = max(1, together // rows)
        return [list(prompts[i : i + size]) for i in range(0, len(prompts), size)]

    def _prompts(self, given: Iterable[Any]) -> list[Prompt]:
        facts = self.about.facts
        return asked_like_the_file(given, bool(facts["is_chat"])) if "is_chat" in facts else prompts_of(given)


def _default_pick(about: Fitted, method: str) -> str:
    """The cheapest; a name that only this method has comes last."""
    picks = list(about.methods[method].reward_calls)
    return min(picks, key=lambda pick: PICKS.index(pick) if pick in PICKS else len(PICKS))


def _distinct(prompts: Sequence[Prompt]) -> dict[str, Prompt]:
    """By id. Raises UserError where one id stands for two prompts."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        if found.setdefault(prompt.id, prompt) != prompt:
            raise UserError(f"two different prompts have the id {prompt.id!r}; give each its own")
    return found
