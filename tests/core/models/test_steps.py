"""Forward passes in sequence, of one prompt, whoever shares its batch."""

import pytest

from harness.core.search.finalists import sample_rows
from harness.core.search.search import Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.values.log_ratio import LogRatio
from tests.conftest import TOY_SAMPLER, tiny_prompts, toy_prompts
from tests.methods.test_contract import World


def longest(answer):
    return max(len(candidate.completion.tokens) for candidate in answer.finalists)


@pytest.mark.parametrize("n", [1, 5])
def test_samples_take_the_prompt_and_every_token_of_the_longest_but_its_last(tiny_handle, n):
    for answer in sample_rows(tiny_handle, tiny_prompts(), n, Streams(0), pick="first"):
        assert answer.work["first"].steps == longest(answer)  # reading the prompt gives the first token


def steps_of(method, ledger, prompts):
    with ledger.phase("generate"):
        return [max(work.steps for work in answer.work.values()) for answer in method.generate(prompts)]


@pytest.mark.parametrize("name", ["base", "base_greedy", "best_of_n", "args", "cards"])
def test_neither_company_nor_order_counts(toy, name):
    made = World(toy, TOY_SAMPLER, toy_prompts(8), toy_prompts(12), (0, 1))
    method, ledger, prompts = made.fitted(name), made.ledger, made.prompts
    together = steps_of(method, ledger, prompts)
    assert [steps_of(method, ledger, [p])[0] for p in prompts] == together
    assert steps_of(method, ledger, prompts[::-1]) == together[::-1]


def test_a_look_at_candidates_is_a_pass_and_rejected_segments_are_written(toy):
    made = World(toy, TOY_SAMPLER, toy_prompts(8), toy_prompts(12), (0, 1))
    answers = made.answers(made.fitted("controlled_decoding"))
    # the prompt; of every token a look at its candidates, and itself, the last one too, since its state is valued
    assert [a.work["first"].steps for a in answers] == [1 + 2 * longest(a) for a in answers]
    for answer in made.answers(made.fitted("cards")):
        work = answer.work["first"]
        assert work.steps == work.policy_tokens  # a prompt of one token, then one for every token, rejected or not


def test_models_that_guide_read_each_chunk_after_it_was_written(tiny_handle):
    """Two models that read side by side are one pass a chunk, and one for the prompt."""
    guide = Guide([LogRatio.beside(tiny_handle, tiny_handle, tiny_handle)], [1.0])
    search = Search(width=1, successors=2, chunk=3)
    for answer in guided_search(tiny_handle, guide, tiny_prompts(), search, Streams(0)):
        written = longest(answer)
        alone = answer.work["value"].steps - (1 + -(-written // 3))
        assert alone in (written, written + 1)  # as of samples; one that was not kept may have been longer by a token
