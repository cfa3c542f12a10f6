"""The interface of a method: what the harness asks of it, in the order it asks.

For each iteration the harness asks for rollouts on that iteration's own prompts, has the method fit, and evaluates it
as it then stands. The harness batches, shards, stores and resumes; a method never sees the gold scorer, a prompt's
reference or row, or another method.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Capability
from harness.core.models.sampling import Sampler
from harness.core.reward import RewardHandle
from harness.core.search.search import Observer
from harness.core.streams import Streams
from harness.core.tuning import Declared
from harness.core.types import Answer, Candidate, FitReport, Prompt, Work
from harness.core.values.value import PrefixValue


class Generator(ABC):
    """A method. Subclasses define `Config`, a frozen pydantic dataclass: its knobs, each default with its source."""

    Config: ClassVar[type]
    source: ClassVar[str]  # paper or "reference"
    version: ClassVar[int] = 1  # raised when a change alters its fits or answers: part of their keys
    trains_weights: ClassVar[bool] = False  # the table says so
    fitted_as: ClassVar[str | None] = None  # methods that fit the same thing give the same name; None: their own
    tunables: ClassVar[Sequence[Declared]] = ()  # the few settings that decide, first things first, for `tune`

    def __init__(self, config: Any, policy: PolicyHandle, reward: RewardHandle, streams: Streams) -> None:
        self.config = config
        self.policy = policy
        self.reward = reward
        self.streams = streams
        self.refit = 0  # set by the harness: which of several fits of the same thing, each with luck of its own
        self.observer: Observer | None = None  # set by the harness where it looks on at searches

    @classmethod
    def tunables_of(cls, config: Any) -> Sequence[Declared]:
        """Of its tunables those that `tune` may vary with these settings."""
        return cls.tunables

    @classmethod
    def unavailable(cls, model: str, config: Any) -> str | None:
        """Why it cannot run with this model, installation and settings, and what to do; None where it can."""
        return None

    @classmethod
    def needs(cls, config: Any) -> frozenset[Capability]:
        """What it asks of the policy; a policy that cannot give it all is refused before any work."""
        return frozenset({"text"})

    @classmethod
    def needs_one_process(cls, config: Any) -> bool:
        """Whether its fit starts a trainer, which would wait for the other launched processes."""
        return False

    @classmethod
    def rows_per_prompt(cls, config: Any) -> int:
        """Rows it decodes together for one prompt, so that the harness can size batches."""
        return 1

    @classmethod
    def budget(cls, config: Any) -> int | None:
        """Rows a prompt at which it is set beside best-of-n; None where rows do not measure what it does."""
        return None

    @classmethod
    def settings_at(cls, rows: int, chunk: int) -> dict[str, Any]:
        """Its settings at the budget of a profile: `rows` a prompt, written `chunk` tokens at a time."""
        return {}

    @classmethod
    def without_states(cls) -> dict[str, Any]:
        """Its settings where they are not given and the policy shows no states, as one behind an API."""
        return {}

    @classmethod
    def models_read(cls, config: Any) -> frozenset[str]:
        """Embedded models that it reads beside the policy; those that a task keeps for its gold are refused."""
        return frozenset()

    @classmethod
    def memory_factor(cls, config: Any) -> int:
        """How many times the memory of plainly sampled rows its rows may need, for the same end."""
        return 1

    @classmethod
    def fit_config(cls, config: Any, iteration: int) -> Any:
        """The settings as far as they shape rollouts and fit of an iteration: what differs in the rest shares them."""
        return config

    @classmethod
    def answer_config(cls, config: Any, iteration: int) -> Any:
        """The settings as far as they shape the answers that given fits of an iteration lead to."""
        return config

    @classmethod
    def answer_at_most(cls, config: Any, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work | None:
        """What an answer takes after `iteration` fits where no text ends early; None where more than that decides."""
        return Work(prompt_tokens + cls.rows_per_prompt(config) * sampler.max_new_tokens)

    @classmethod
    def rollouts_at_most(cls, config: Any, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work | None:
        """The same of what it writes for one prompt to fit iteration >= 2 on."""
        return None

    @classmethod
    def prefixes(cls, config: Any, sampler: Sampler) -> list[int]:
        """How many prefixes of an answer it goes on from, round by round: by default one, which is empty.

        More than one round needs a policy that goes on with what it has begun.
        """
        return [1]

    def fit_inputs(self) -> dict[str, str]:
        """What else shapes its fits: fingerprints of models it loads."""
        return {}

    @classmethod
    def kl_bound(cls, config: Any, sampler: Sampler) -> float | None:
        """An upper bound on KL(method || base) in nats, of the text; None where none is known."""
        return None

    @property
    def own_policy(self) -> PolicyHandle | None:
        """The policy whose plain samples its answers are, where that is not the base; None elsewhere.

        KL(method || base) is then the mean of log-probability differences over its answers, and is estimated so.
        """
        return None

    @property
    def searches(self) -> bool:
        """Whether `generate` is a guided search, which shows its choices to `observer`."""
        return False

    @property
    def fitted_values(self) -> Sequence[PrefixValue]:
        """V_1 .. V_i as fitted so far, all for the same reward: the evaluation asks each for predictions."""
        return ()

    @property
    def iterations(self) -> int:
        """How many value functions it fits; 0 for methods that fit nothing."""
        return 0

    def value_flops(self) -> dict[str, float]:
        """FLOPs of a prefix valued (`call`), and of a token that value models of its own read (`token`)."""
        return {}

    def rollout(self, iteration: int, prompts: Sequence[Prompt], record: tuple[int, ...]) -> list[Candidate]:
        """Training data of `iteration` >= 2, with rewards and states of the layers `record`; 1 gets base samples.

        `record` is empty where it does not need states.
        """
        raise NotImplementedError(f"{type(self).__name__} fits nothing after iteration 1")

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        """Fit the value function of `iteration` and hold it from then on."""
        raise NotImplementedError(f"{type(self).__name__} fits nothing")

    @abstractmethod
    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """One answer per prompt, in the same order."""

    def save(self, folder: Path) -> None:
        """Write what was fitted so far into `folder`; a method that fits nothing leaves it empty."""
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, folder: Path) -> Self:
        """Take up what `save` wrote."""
        return self
