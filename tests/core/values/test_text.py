"""Values of the text alone: on the toy they know what enumeration knows, and any policy that gives texts has them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.types import Candidate, Completion, Message, Prompt
from harness.core.values.fitting import ValueSettings
from harness.core.values.kind_settings import TextSettings
from harness.core.values.stored import load_value
from harness.core.values.text import TextFeatures, TextPrefix, TextValue, asked
from harness.core.values.text_fitting import fit_text
from harness.methods import METHODS
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, tiny_prompts, toy_prompts
from tests.core.models.test_text_policy import TextPolicy

CHARACTERS = ValueSettings(kind="text", text=TextSettings(ngrams=("characters",)), stride=1)


def rollouts(handle, ledger, prompts, samples):
    reward = RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))
    return [c for a in sample_rows(handle, prompts, samples, Streams(0), "first", reward) for c in a.finalists]


def test_it_ranks_prefixes_of_the_toy_as_enumeration_does(toy, toy_handle, ledger):
    fitted = fit_text(rollouts(toy_handle, ledger, toy_prompts(300), 8), CHARACTERS, toy_handle)
    exact = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    nodes = [(topic, y) for topic, y in toy.nodes if y and y[-1] != 0]
    got = fitted.value([TextPrefix(f"topic {topic}", toy.text(y), False) for topic, y in nodes])
    true = [exact[toy.index[node]] for node in nodes]
    assert np.corrcoef(got, true)[0, 1] > 0.9
    assert fitted.report.rows[-1]["r2"] > 0.8 and fitted.report.choices["kind"] == "text"


def test_it_needs_no_more_than_texts_and_guides_a_search_there(toy, ledger):
    """IRO and block-wise controlled decoding fit, search, save and load on a policy without tokens and states."""
    handle = PolicyHandle(TextPolicy(toy), TOY_SAMPLER, ledger)
    reward = RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))
    for name, more in (("iro", {"width": 2, "successors": 4, "chunk": 1, "iterations": 2}),
                       ("controlled_decoding", {"mode": "block", "successors": 8, "chunk": 1})):  # fmt: skip
        kind = METHODS[name]
        config = kind.Config(**more, value=CHARACTERS)
        assert kind.needs(config) == {"text"} and kind.unavailable("", config) is None
        method = kind(config, handle, reward, Streams(0))
        base = rollouts(handle, ledger, toy_prompts(60), 8)
        assert all(c.completion.tokens == () and c.states is None for c in base)
        method.fit(1, base)
        if name == "iro":
            again = method.rollout(2, toy_prompts(60), ())
            assert all(c.states is None for c in again) and len(again) > 60
            method.fit(2, again)
        answers = method.generate(toy_prompts(40))
        gained = np.mean([proxy_of(a.pick("value").text) for a in answers])
        assert gained > np.mean([c.reward for c in base]) + 0.5


def test_a_reader_says_what_the_value_says_of_each_text(tiny_handle, ledger, tmp_path):
    data = rollouts(tiny_handle, ledger, [Prompt(f"f{i}", text="abc"[i % 3]) for i in range(10)], 4)
    value = fit_text(data, CHARACTERS, tiny_handle).value
    value.save(tmp_path)
    again = load_value(tmp_path, tiny_handle)
    rows = tiny_handle.decode(tiny_prompts(), 4, Streams(2))
    reader = again.start(rows)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        got = reader.advance(rows.extend(3))
        said = [TextPrefix(asked(c.prompt), c.text, c.stop == "eos") for c in rows.completions()]
        assert np.array_equal(got.numpy(), value(said))
        index = torch.cat([4 * p + torch.randint(4, (4,), generator=generator) for p in range(4)])
        rows.select(index, torch.arange(4).repeat(4))
        reader.reorder(index)
    assert reader.tokens_read.tolist() == [0] * 4


def test_fitting_twice_gives_the_same_numbers(tiny_handle, ledger):
    data = rollouts(tiny_handle, ledger, [Prompt(f"f{i}", text="abc"[i % 3]) for i in range(10)], 4)
    one, two = (fit_text(data, CHARACTERS, tiny_handle).value for _ in range(2))
    assert np.array_equal(one.weight, two.weight) and one.bias == two.bias


def test_a_character_that_is_not_whole_yet_is_not_read():
    features = TextFeatures("characters", "apart", 64)
    value = TextValue(features, np.arange(2 * 64 + 2.0), 0.0, None)
    rows = Rows([Completion(Prompt("p", text="ask"), (), text, None) for text in ("caf\ufffd", "caf")])
    one, other = value.start(rows).advance(Moved()).tolist()
    assert one == other


class Moved:
    moved, tokens = torch.tensor([[True], [True]])[:, 0][:, None], torch.zeros(2, 1)


class Rows:
    def __init__(self, completions):
        self._completions, self.prompts, self.owner = completions, [completions[0].prompt], torch.tensor([0, 0])

    def completions(self):
        return self._completions


def test_nan_rewards_are_left_out_and_one_reward_is_refused(toy_handle, ledger):
    data = rollouts(toy_handle, ledger, toy_prompts(20), 2)
    report = fit_text([replace(data[0], reward=float("nan")), *data[1:]], CHARACTERS, toy_handle).report
    assert report.choices["left_out_nan"] == 1
    with pytest.raises(UserError, match="held-out fit prompts have the reward 1"):
        fit_text([replace(c, reward=1.0) for c in data], CHARACTERS, toy_handle)


def test_prefixes_of_texts_without_tokens_are_cut_at_words(toy):
    policy = TextPolicy(toy)
    completion = Completion(Prompt("p", text="x"), (), "one two  three.\n", "length")
    assert policy.prefix_texts(completion, [0, 1, 2, 3]) == ["", "one", "one two", "one two  three.\n"]


def test_the_prefixes_of_tokens_are_their_texts(tiny_handle, ledger):
    (candidate,) = rollouts(tiny_handle, ledger, tiny_prompts()[:1], 1)
    assert isinstance(candidate, Candidate)
    c = candidate.completion
    texts = tiny_handle.prefix_texts(c, [0, 1, len(c.tokens)])
    assert texts[0] == "" and texts[2] == c.text and c.text.startswith(texts[1])


def test_chats_are_asked_as_one_text():
    chat = Prompt("c", messages=(Message("system", "be kind"), Message("user", "hello")))
    assert asked(chat) == "system: be kind\nuser: hello\n"
