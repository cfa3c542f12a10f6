"""An answer ends before the stop string that it says first, whatever tokens, chunks and methods wrote it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from transformers import LlamaConfig, LlamaForCausalLM

from harness.core.as_before import hashed
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.models.stopping import StopStrings
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.search.search import Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.methods import METHODS
from tests.conftest import TINY_SAMPLER, TOY_SAMPLER, tiny_prompts, toy_prompts
from tests.core.models.tokenizers_made_here import byte_level, sentencepiece_like


@pytest.mark.parametrize(
    "strings, text, cut",
    [
        (["\n\n"], "four\n\nfive\n\n", "four"),
        (["Q:", "\n"], "four\nQ:", "four"),
        (["b"], "aaa", None),
        (["b"], "", None),
        (["abc", "b"], "xabcy", "xa"),  # b is said first, though abc begins before it
        (["b", "ab"], "xaby", "x"),  # both are said by the same letter
        (["aa"], "baaa", "b"),
        ([], "anything", None),
    ],
)
def test_a_text_ends_before_the_stop_string_that_is_completed_first(strings, text, cut):
    ends = StopStrings(strings)
    assert ends.cut(text) == cut
    by_letter = next((ends.cut(text[:n]) for n in range(len(text) + 1) if ends.cut(text[:n]) is not None), None)
    assert by_letter == cut, "cut while it is written, it is the same text"


class World:
    """A policy with prompts, and answers of a method under a sampling rule, all from the same streams."""

    def __init__(self, policy, sampler, prompts):
        self.policy, self.sampler, self.prompts, self.ledger = policy, sampler, prompts, Ledger()

    def handle(self, stop):
        return PolicyHandle(self.policy, replace(self.sampler, stop=stop), self.ledger)

    def samples(self, stop=(), rows=4):
        with self.ledger.phase("generate"):
            answers = sample_rows(self.handle(stop), self.prompts, rows, Streams(0), "first")
        return [c.completion for a in answers for c in a.finalists], answers

    def answers(self, name, stop=(), **settings):
        reward = RewardHandle(lambda cs: np.zeros(len(cs)), self.ledger, Scale(0.0, 1.0))
        method = METHODS[name](METHODS[name].Config(**settings), self.handle(stop), reward, Streams(0))
        with self.ledger.phase("generate"):
            return method.generate(self.prompts)


def policy_with(tokenizer):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, initializer_range=0.3,
    )  # fmt: skip
    return TransformersPolicy(LlamaForCausalLM(config), tokenizer, "made here", "made here")


@pytest.fixture(scope="module", params=["toy", "tiny", "byte level", "sentencepiece"])
def world(request, toy, tiny):
    """Pieces of byte level and sentencepiece are several letters, or a part of one."""
    if request.param == "toy":
        return World(toy, TOY_SAMPLER, toy_prompts(12))
    if request.param == "tiny":
        return World(tiny, TINY_SAMPLER, tiny_prompts())
    made = policy_with(byte_level() if request.param == "byte level" else sentencepiece_like())
    prompts = [Prompt("a", text="the film was good"), Prompt("b", text="then we"), Prompt("c", text="bad")]
    return World(made, Sampler(top_k=0, max_new_tokens=16), prompts)


def stops_in(world):
    """Stop strings that its samples say: single letters, pairs within and across tokens, and one with a blank."""
    texts = [c.text for c in world.samples()[0]]
    middle = [text[len(text) // 2 : len(text) // 2 + size] for text in texts for size in (1, 2, 3)]
    return [(one,) for one in dict.fromkeys(m for m in middle if m and "�" not in m)][:5]


def uncut(completions, stop):
    ends = StopStrings(stop)
    return [c.text if ends.cut(c.text) is None else ends.cut(c.text) for c in completions]


def test_answers_are_those_without_stop_strings_cut_afterwards(world):
    plain, _ = world.samples()
    said = 0
    for stop in stops_in(world):
        stopped, _ = world.samples(stop)
        assert [c.text for c in stopped] == uncut(plain, stop)
        for whole, one in zip(plain, stopped, strict=True):
            assert one.tokens == whole.tokens[: len(one.tokens)]
            ends = StopStrings(stop).cut(whole.text) is not None
            assert (one.stop == "string") == ends and (ends or one.tokens == whole.tokens)
            said += ends
    assert said >= 5


def test_a_row_ends_at_the_token_that_completes_a_stop_string(world):
    """Not one token later: what is written beyond it is waste, and would be states that values are fitted on."""
    for stop in stops_in(world):
        for completion in world.samples(stop)[0]:
            if completion.stop == "string" and world.sampler.max_new_tokens > 1:
                text = world.policy.text_behind(world.policy.encode(completion.prompt))
                assert StopStrings(stop).cut(text(completion.tokens)) is not None
                assert StopStrings(stop).cut(text(completion.tokens[:-1])) is None


def test_tokens_that_are_not_written_cost_nothing(world):
    (stop, *_) = stops_in(world)
    world.ledger.drain()
    completions, answers = world.samples(stop)
    written = {p.id: sum(len(c.tokens) for c in completions if c.prompt == p) for p in world.prompts}
    for answer in answers:
        assert answer.work["first"].policy_tokens == written[answer.prompt.id] + world.policy.prompt_length(
            answer.prompt
        )
    usage = [entry for entry in world.ledger.drain() if entry["role"] == "policy"]
    assert sum(entry["tokens"] for entry in usage) == sum(written.values())


@pytest.mark.parametrize(
    "name, settings",
    [
        ("base", {}),
        ("base_greedy", {}),
        ("best_of_n", {"n": 3}),
        ("iro", {"width": 1, "successors": 1, "chunk": 3, "iterations": 0}),
        ("iro", {"width": 2, "successors": 2, "chunk": 64, "iterations": 0, "diversity": False}),
        ("args", {"weight": 0.0, "choice": "stochastic"}),
        ("cards", {"target": -1e6, "shortest": 1, "longest": 3}),
    ],
)
def test_methods_that_choose_nothing_answer_as_without_stop_strings_cut_afterwards(world, name, settings):
    plain = world.answers(name, **settings)
    for stop in stops_in(world)[:2]:
        stopped = world.answers(name, stop, **settings)
        assert [[c.completion.text for c in a.finalists] for a in stopped] == [
            uncut([c.completion for c in a.finalists], stop) for a in plain
        ]


def test_a_chunk_that_says_a_stop_string_is_a_finished_row_of_a_search(toy, ledger):
    """Widths above one, selection by weight, chunks that a stop string ends in: every finalist is finished."""
    handle = PolicyHandle(toy, replace(TOY_SAMPLER, stop=("b", "ac")), ledger)
    for search in (Search(2, 3, 1), Search(3, 2, 2, "resample"), Search(2, 2, 3)):
        for answer in guided_search(handle, Guide(), toy_prompts(20), search, Streams(0)):
            for candidate in answer.finalists:
                text, stop = candidate.completion.text, candidate.completion.stop
                assert stop is not None and "b" not in text and "ac" not in text
                assert (stop == "string") == (toy.text(candidate.completion.tokens) != text)


def test_tokens_that_are_taken_back_take_the_end_with_them(toy, ledger):
    """A rejected segment that said a stop string left its row finished, and the next one was never written."""
    rows = PolicyHandle(toy, replace(TOY_SAMPLER, stop=("b",)), ledger).decode_tokens(
        toy_prompts(1), 1, Streams(0), revocable=True
    )
    before = rows.next_logits()[1].clone()
    rows.write(torch.tensor([2]))
    assert rows.finished.tolist() == [True] and rows.completions()[0].text == ""
    rows.take_back(torch.tensor([1]), before)
    assert rows.finished.tolist() == [False]
    rows.write(torch.tensor([1]))
    assert rows.completions()[0].text == "a" and rows.completions()[0].stop is None


def test_what_a_token_would_make_of_a_row_ends_alike(toy, ledger):
    """Methods of single tokens score texts that are not written yet."""
    rows = PolicyHandle(toy, replace(TOY_SAMPLER, stop=("ab",)), ledger).decode_tokens(toy_prompts(1), 1, Streams(0))
    rows.write(torch.tensor([1]))
    assert (rows.continued(0, 2).text, rows.continued(0, 2).stop) == ("", "string")
    assert (rows.continued(0, 1).text, rows.continued(0, 1).stop) == ("aa", None)


def test_a_stop_string_wins_over_the_limit_and_the_end_of_the_text(toy, ledger):
    rows = PolicyHandle(toy, replace(TOY_SAMPLER, max_new_tokens=2, stop=("b",)), ledger).decode_tokens(
        toy_prompts(1), 1, Streams(0)
    )
    rows.write(torch.tensor([1]))
    rows.write(torch.tensor([2]))
    assert rows.completions()[0].stop == "string"


def test_without_stop_strings_a_sampling_rule_is_hashed_as_before():
    assert "stop" not in hashed(Sampler())
    assert hashed(Sampler(stop=("\n",)))["stop"] == ("\n",)


def test_one_stop_string_needs_no_list_and_an_empty_one_is_refused():
    made = TypeAdapter(Sampler)
    assert made.validate_python({"stop": "\n\n"}).stop == ("\n\n",)
    with pytest.raises(ValidationError, match="at least 1 character"):
        made.validate_python({"stop": [""]})
