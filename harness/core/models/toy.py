"""A world small enough to enumerate: a tabular policy over a few letters, a reward for every text, and exact answers.

    toy = ToyPolicy(letters=3, length=4, topics=2, seed=0)
    values = toy.values(sampler, rewards)       # E[r | prefix] for every prefix, by backward induction
    toy.finished_distribution(sampler)          # pi(y) of every finished text

Its prefix states are one-hot, so the real `value.py` and `search.py` run on it and can represent any value function.
A node is a prefix of one topic: a text that ended with the end-of-sequence token, or reached the length, is finished.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from harness.core.errors import UserError
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler, support
from harness.core.models.token_policy import Fed, TokenPolicy
from harness.core.types import Completion, Prompt

VERSION = "1"  # raised when a change alters what it computes
EOS = 0
LONGEST = 6  # letters of a text; every one more makes three times as many nodes, which all states are as wide as


_Nodes = dict[str, torch.Tensor]  # the cache: which node every row stands at


class ToyPolicy(TokenPolicy):
    """Token 0 ends a text, tokens 1.. are the letters a, b, ...; the prompt "topic k" picks one of the tables."""

    def __init__(self, letters: int = 3, length: int = 4, topics: int = 2, seed: int = 0) -> None:
        self.capabilities = frozenset({"text", "logprobs", "states", "token level", "take back"})
        self.name, self.fingerprint = "toy", f"toy-{letters}-{length}-{topics}-{seed}"
        self.engine = {"toy": VERSION}
        self.eos_ids = frozenset({EOS})
        self.letters, self.length, self.topics = letters, length, topics
        self.device = torch.device("cpu")
        self.nodes: list[tuple[int, tuple[int, ...]]] = []  # (topic, tokens)
        for topic in range(topics):
            self._grow(topic, ())
        self.index = {node: i for i, node in enumerate(self.nodes)}
        self.depth, self.width = 1, len(self.nodes)
        self.parameters = self.active_parameters = 0
        rng = np.random.default_rng(seed)
        self._logits = torch.from_numpy(rng.normal(0, 1, (len(self.nodes), letters + 1)).astype(np.float32))
        child = [[self.index.get((topic, (*y, t)), -1) for t in range(letters + 1)] for topic, y in self.nodes]
        self._child = torch.tensor(child)  # (nodes, letters + 1), -1 under finished nodes

    def _grow(self, topic: int, tokens: tuple[int, ...]) -> None:
        self.nodes.append((topic, tokens))
        if not self.is_finished(tokens):
            for token in range(self.letters + 1):
                self._grow(topic, (*tokens, token))

    def is_finished(self, tokens: Sequence[int]) -> bool:
        return len(tokens) == self.length or (len(tokens) > 0 and tokens[-1] == EOS)

    # --- the exact answers ---------------------------------------------------------------------------------------

    def values(self, sampler: Sampler, rewards: Callable[[int, tuple[int, ...]], float]) -> np.ndarray:
        """(nodes,) E[r | prefix] under the policy with this sampling rule; at finished nodes the reward itself."""
        tokens, probabilities = support(self._logits, sampler)
        out = np.zeros(len(self.nodes))
        for i in reversed(range(len(self.nodes))):  # children come after their parents
            topic, prefix = self.nodes[i]
            if self.is_finished(prefix):
                out[i] = rewards(topic, prefix)
            else:
                children = self._child[i][tokens[i]].numpy()
                out[i] = probabilities[i].double().numpy() @ out[children]
        return out

    def finished_distribution(self, sampler: Sampler, topic: int) -> dict[tuple[int, ...], float]:
        """pi(y) of every finished text of a topic; sums to one."""
        tokens, probabilities = support(self._logits, sampler)
        out: dict[tuple[int, ...], float] = {}
        open_nodes: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
        while open_nodes:
            prefix, mass = open_nodes.pop()
            if self.is_finished(prefix):
                out[prefix] = mass
                continue
            i = self.index[topic, prefix]
            for token, p in zip(tokens[i].tolist(), probabilities[i].tolist(), strict=True):
                if p > 0:
                    open_nodes.append(((*prefix, token), mass * p))
        return out

    def tilted_distribution(
        self, sampler: Sampler, topic: int, score: Callable[[tuple[int, ...]], float]
    ) -> dict[tuple[int, ...], float]:
        """pi(y) exp(S(y)) / Z over the finished texts of a topic."""
        base = self.finished_distribution(sampler, topic)
        weights = {y: p * np.exp(score(y)) for y, p in base.items()}
        total = sum(weights.values())
        return {y: w / total for y, w in weights.items()}

    # --- a Policy ------------------------------------------------------------------------------------------------

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        last = (prompt.text or "").split()[-1:]
        if not (last and last[0].isdecimal() and int(last[0]) < self.topics):
            raise UserError(f"prompt {prompt.text!r} of the toy: write 'topic K' with K in 0..{self.topics - 1}")
        return (int(last[0]),)

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(chr(ord("a") + t - 1) for t in tokens if t != EOS)

    def text_behind(self, prompt: tuple[int, ...]) -> Callable[[Sequence[int]], str]:
        return self.text

    def head_of(self, text: str, tokens: int) -> str:
        return text

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return tuple(ord(letter) - ord("a") + 1 for letter in text)

    def prefill(
        self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...], room: int, revocable: bool
    ) -> tuple[_Nodes, Fed, torch.Tensor]:
        cache = {"node": torch.tensor([self.index[topic, ()] for (topic,) in prompts])}
        return cache, self._fed(cache, layers), torch.ones(len(prompts), 1, dtype=torch.bool)

    def feed(self, cache: _Nodes, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        # a finished row may still be in the batch: its tokens lead nowhere, any node will do
        cache["node"] = self._child[cache["node"], tokens].clamp(min=0)
        return self._fed(cache, layers)

    def peek(self, cache: _Nodes, tokens: torch.Tensor, layers: tuple[int, ...]) -> dict[int, torch.Tensor]:
        nodes = self._child[cache["node"][:, None], tokens].clamp(min=0)
        return dict.fromkeys(layers, torch.nn.functional.one_hot(nodes, self.width).float())

    def forget(self, cache: _Nodes, counts: torch.Tensor) -> None:
        nodes = [
            (topic, y[: len(y) - int(n)])
            for n, i in zip(counts, cache["node"], strict=True)
            for topic, y in [self.nodes[i]]
        ]
        cache["node"] = torch.tensor([self.index[node] for node in nodes])

    def _fed(self, cache: _Nodes, layers: tuple[int, ...]) -> Fed:
        states = torch.nn.functional.one_hot(cache["node"], self.width).float()[:, None]
        return Fed(self._logits[cache["node"]], {layer: states for layer in layers})

    def reorder(self, cache: _Nodes, index: torch.Tensor) -> None:
        cache["node"] = cache["node"][index]

    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        table = self._logits.log_softmax(-1).numpy()
        out = []
        for completion in completions:
            (topic,) = self.encode(completion.prompt)
            steps = [table[self.index[topic, completion.tokens[:i]], t] for i, t in enumerate(completion.tokens)]
            out.append(np.array(steps, dtype=np.float32))
        return out

    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> "_ToyScorer":
        return _ToyScorer(self, torch.tensor([self.index[topic, ()] for (topic,) in prompts]))

    def speaks_like(self, other: Policy) -> bool:
        return isinstance(other, ToyPolicy) and other.letters == self.letters

    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        return 4 * self.width * (prompt_tokens + new_tokens)


class _ToyScorer:
    def __init__(self, toy: ToyPolicy, nodes: torch.Tensor) -> None:
        self._toy, self._nodes = toy, nodes

    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(tokens.shape)
        for j in range(tokens.shape[1]):
            table = self._toy._logits[self._nodes].log_softmax(-1)
            out[:, j] = torch.where(mask[:, j], table.gather(1, tokens[:, j : j + 1])[:, 0], 0.0)
            self._nodes = torch.where(mask[:, j], self._toy._child[self._nodes, tokens[:, j]], self._nodes)
        return out

    def reorder(self, index: torch.Tensor) -> None:
        self._nodes = self._nodes[index]
