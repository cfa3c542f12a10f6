"""A model that only continues texts, as one behind an API does, is a policy: what needs no more runs on it."""

import numpy as np
import pytest
import torch

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.models.rows import Chunk
from harness.core.search.finalists import sample_rows
from harness.core.search.search import Finish, Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Completion
from harness.methods import METHODS
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, toy_prompts


class TextPolicy(Policy):
    """The toy behind a wall: texts in, longer texts out; no tokens, no states, no log-probabilities."""

    def __init__(self, toy):
        self.name, self.fingerprint, self.capabilities = "texts", "texts", frozenset({"text"})
        self._toy = toy

    def decode(self, prompts, rows_per_prompt, sampler, streams, ledger, *, layers=(), record=False):
        return TextRows(self._toy.decode(prompts, rows_per_prompt, sampler, streams, ledger))

    def head_of(self, text, tokens):
        return text


class TextRows:
    """`Rows` of which nothing but texts is known."""

    def __init__(self, rows):
        self._rows, self.prompts = rows, rows.prompts
        self.prompt_chunk = self._bare(rows.prompt_chunk)

    def _bare(self, chunk):
        return Chunk(torch.zeros_like(chunk.tokens[:, :1]), chunk.moved[:, None], {})

    owner = property(lambda self: self._rows.owner)
    finished = property(lambda self: self._rows.finished)

    def extend(self, n):
        return self._bare(self._rows.extend(n))

    def select(self, index, slots):
        self._rows.select(index, slots)

    def completions(self):
        return [Completion(c.prompt, (), c.text, c.stop) for c in self._rows.completions()]

    def keys(self):
        return [c.text for c in self.completions()]

    def states_of(self, row):
        return None

    def policy_tokens(self):
        return self._rows.policy_tokens()

    def steps(self):
        return self._rows.steps()

    def spend(self, role, *, seconds=0.0, **counts):
        self._rows.spend(role, seconds=seconds, **counts)


class Letters:
    """A value function of the text alone: letters a less letters b so far."""

    layers = ()

    def start(self, rows):
        return LettersReader(rows)


class LettersReader:
    def __init__(self, rows):
        self._rows, self.tokens_read = rows, np.zeros(len(rows.prompts), dtype=np.int64)

    def advance(self, chunk):
        return torch.tensor([proxy_of(c.text) for c in self._rows.completions()])

    def reorder(self, index):
        """It keeps nothing between chunks."""


@pytest.fixture
def texts(toy, ledger):
    return PolicyHandle(TextPolicy(toy), TOY_SAMPLER, ledger)


def letters(completions):
    return np.array([proxy_of(c.text) for c in completions], dtype=np.float32)


def test_samples_are_those_of_the_model_behind_the_wall(texts, toy_handle):
    there = sample_rows(texts, toy_prompts(6), 4, Streams(0), pick="reward", reward=letters)
    plain = sample_rows(toy_handle, toy_prompts(6), 4, Streams(0), pick="reward", reward=letters)
    assert [a.pick("reward").text for a in there] == [a.pick("reward").text for a in plain]
    assert [a.work for a in there] == [a.work for a in plain]


@pytest.mark.parametrize("search", [Search(2, 3, 1), Search(3, 2, 2, "resample"), Search(1, 6, 1, diversity=False)])
def test_a_search_guided_by_texts_is_that_of_the_model_behind_the_wall(texts, toy_handle, search):
    guide, finish = Guide([Letters()], [0.5]), Finish(letters)
    there, plain = (
        guided_search(handle, guide, toy_prompts(10), search, Streams(1), finish) for handle in (texts, toy_handle)
    )
    for a, b in zip(there, plain, strict=True):
        assert {pick: a.pick(pick).text for pick in a.picks} == {pick: b.pick(pick).text for pick in b.picks}
        assert [c.score for c in a.finalists] == [c.score for c in b.finalists]


def test_what_it_cannot_give_is_refused_by_name(texts):
    with pytest.raises(UserError, match="'texts' gives text, but no states"):
        texts.decode(toy_prompts(2), 2, Streams(0), layers=(1,))
    with pytest.raises(UserError, match="'texts' gives text, but no token level"):
        texts.decode_tokens(toy_prompts(2), 1, Streams(0))
    with pytest.raises(UserError, match="gives no log-probabilities"):
        texts.logprobs([])


def test_methods_say_what_they_need():
    needs = {name: METHODS[name].needs(METHODS[name].Config()) for name in METHODS}
    assert needs["base"] == needs["best_of_n"] == {"text"}
    assert needs["iro"] == {"states"} and "token level" not in needs["iro"]
    assert all("token level" in needs[name] for name in ("args", "cards", "controlled_decoding"))
    assert "weights" in needs["dpo"] and "weights" in needs["weak_to_strong"]
