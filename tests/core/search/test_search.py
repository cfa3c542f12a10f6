from itertools import pairwise

import numpy as np
import pytest

from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.search.search import Finish, Guide, guided_search
from harness.core.search.selection import Search, keep_top, resample
from harness.core.search.tree import Tree
from harness.core.streams import Streams
from harness.tasks.toy import proxy_of
from tests.conftest import TINY_SAMPLER, TOY_SAMPLER, chi_square, tiny_prompts, toy_prompts
from tests.table_value import TableValue

nan = float("nan")


@pytest.mark.parametrize(
    "scores, keys, width, kept",
    [
        ([1, 3, 2, 0], "abcd", 2, [1, 2]),
        ([3, 3, 2, 1], "aabc", 2, [0, 2]),  # a duplicate waits behind every other text
        ([3, 5, 2, 1], "aabc", 3, [1, 2, 3]),  # ... and the better of the two stands for both
        ([3, 3, 2], "aab", 3, [0, 2, 1]),  # duplicates fill up
        ([1, 1, 1, 1], "abcd", 2, [0, 1]),  # ties go to the lower index
        ([nan, 1, nan, 0], "abcd", 3, [1, 3]),  # NaN is never kept
        ([nan, nan], "ab", 2, [0]),  # all NaN: the first
        ([2, 1], "ab", 5, [0, 1]),
    ],
)
def test_keep_top_by_hand(scores, keys, width, kept):
    assert keep_top(np.array(scores, dtype=float), keys, width) == kept


def test_resample_draws_by_weight_and_place():
    grid = (np.arange(1000) + 0.5) / 1000
    log_weights = np.log([1.0, 2.0, 1.0])
    draws = resample(log_weights, np.array([1.0, 1.0, 5.0]), grid)
    assert np.bincount(draws).tolist() == [125, 250, 625]


def test_resample_never_draws_nan_and_takes_the_first_when_all_are():
    assert set(resample(np.array([nan, 0.0]), np.ones(2), np.linspace(0, 0.999, 50))) == {1}
    assert resample(np.array([nan, nan]), np.ones(2), np.array([0.1, 0.9])) == [0, 0]


def test_resample_stands_extreme_weights():
    assert resample(np.array([-1e5, 1e5]), np.ones(2), np.array([0.0, 0.5])) == [1, 1]


def exact_value(toy, scale=1.0):
    return TableValue(scale * toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y))))


def proxy_handle(ledger):
    return RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))


@pytest.mark.parametrize("search", [Search(4, 4, 1), Search(1, 1, 2), Search(3, 2, 4), Search(2, 3, 9)])
def test_without_values_the_first_pick_is_base_token_by_token(toy_handle, tiny_handle, search):
    for handle, prompts in ((toy_handle, toy_prompts(12)), (tiny_handle, tiny_prompts())):
        base = sample_rows(handle, prompts, 1, Streams(7), "first")
        found = guided_search(handle, Guide(), prompts, search, Streams(7))
        assert [a.pick("first").tokens for a in found] == [a.pick("first").tokens for a in base]


def test_exact_values_lead_top_search_to_the_best_text(toy, toy_handle):
    """Every prefix wide open: the search keeps the argmax, "aaaa"."""
    answers = guided_search(toy_handle, Guide([exact_value(toy)], [1.0]), toy_prompts(10), Search(8, 16, 1), Streams(0))
    assert {a.pick("value").text for a in answers} == {"aaaa"}


def test_wider_search_finds_better_texts(toy, toy_handle):
    def found(width):
        search = Search(width, width, 1)
        answers = guided_search(toy_handle, Guide([exact_value(toy)], [1.0]), toy_prompts(60), search, Streams(0))
        return np.mean([proxy_of(a.pick("value").text) for a in answers])

    assert found(1) < found(2) < found(4)


def test_without_diversity_the_best_text_crowds_out_the_others(toy, toy_handle):
    """Four letters of three: many of the 16 rows are the same text, and the best of them fills every place."""
    kept = {}
    for diversity in (True, False):
        search = Search(4, 4, 1, diversity=diversity)
        answers = guided_search(toy_handle, Guide([exact_value(toy)], [1.0]), toy_prompts(20), search, Streams(0))
        kept[diversity] = np.mean([len({c.completion.tokens for c in a.finalists}) for a in answers])
    assert kept[True] > 3.5 and kept[False] < 2


def test_one_factor_on_all_betas_changes_nothing_for_top(toy, toy_handle):
    values = [exact_value(toy), exact_value(toy, 0.3)]
    once, twice = (
        guided_search(toy_handle, Guide(values, betas), toy_prompts(10), Search(2, 2, 1), Streams(0))
        for betas in ([1.0, 2.0], [5.0, 10.0])
    )
    assert [a.pick("value").tokens for a in once] == [a.pick("value").tokens for a in twice]


@pytest.mark.slow
def test_resampling_converges_to_the_tilt_of_finished_texts(toy, toy_handle):
    """First picks of 2,000 prompts against pi(y) exp(S(y)) / Z, S = 0.7 * reward, U = 64.

    A bias of order 1/U remains, so the distance is bounded rather than tested against zero; plain sampling is four
    times as far away. Finished texts stand for all the rows they are not spread over: forgetting that moves mass
    away from short texts, by far more than the bound.
    """
    n, factor = 2000, 0.7
    prompts, search = toy_prompts(n, topic=0), Search(16, 4, 1, "resample")
    answers = guided_search(toy_handle, Guide([exact_value(toy, factor)], [1.0]), prompts, search, Streams(0))
    exact = toy.tilted_distribution(TOY_SAMPLER, 0, lambda y: factor * proxy_of(toy.text(y)))
    texts = [a.pick("first").tokens for a in answers]
    counts = np.array([texts.count(y) for y in exact]) / n
    base = np.array(list(toy.finished_distribution(TOY_SAMPLER, 0).values()))
    tilt = np.array(list(exact.values()))

    def by_length(p):
        lengths = np.array([len(y) for y in exact])
        return np.array([p[lengths == t].sum() for t in range(1, 5)])

    assert np.abs(by_length(counts) - by_length(tilt)).max() < 0.03
    assert np.abs(counts - tilt).sum() < 0.5 * np.abs(base - tilt).sum()
    assert chi_square(n * by_length(counts), n * by_length(tilt)) > 1e-4


def test_texts_that_finish_in_the_first_chunk_stay_finalists(toy, toy_handle):
    """A value that likes only the empty text: it ends at once, holds one place, and wins."""
    table = np.zeros(toy.width)
    for topic in range(2):
        table[toy.index[topic, (0,)]] = 1.0
    answers = guided_search(toy_handle, Guide([TableValue(table)], [1.0]), toy_prompts(20), Search(3, 8, 1), Streams(0))
    for answer in answers:
        assert answer.pick("value").tokens == (0,)
        assert answer.pick("value").stop == "eos"
        assert sum(c.completion.tokens == (0,) for c in answer.finalists) >= 1


def test_all_rows_finishing_together_end_the_search(toy, toy_handle, ledger):
    """Chunk as long as the text: one round, and no unfinished finalist."""
    answers = guided_search(toy_handle, Guide([exact_value(toy)], [1.0]), toy_prompts(5), Search(2, 2, 4), Streams(0))
    assert all(c.completion.stop is not None for a in answers for c in a.finalists)
    assert all(len(a.finalists) == 2 for a in answers)


def test_a_value_of_nan_never_guides(toy, toy_handle):
    table = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    for topic in range(2):
        table[toy.index[topic, (1, 1, 1, 1)]] = nan
    answers = guided_search(
        toy_handle, Guide([TableValue(table)], [1.0]), toy_prompts(10), Search(8, 16, 1), Streams(0)
    )
    for answer in answers:
        assert answer.pick("value").text != "aaaa"
        assert not np.isnan(answer.finalists[answer.picks["value"]].score)


def test_each_distinct_finalist_costs_one_reward_call(toy, toy_handle, ledger):
    ledger.drain()
    guide = Guide([exact_value(toy)], [1.0])
    answers = guided_search(
        toy_handle, guide, toy_prompts(8), Search(4, 4, 1), Streams(0), Finish(proxy_handle(ledger))
    )
    for answer in answers:
        distinct = {c.completion.tokens for c in answer.finalists}
        assert answer.work["reward"].reward_calls == len(distinct)
        assert answer.work["value"].reward_calls == 0
        best = max(proxy_of(c.completion.text) for c in answer.finalists)
        assert proxy_of(answer.pick("reward").text) == best
    usage = {row["role"]: row for row in ledger.drain()}
    assert usage["proxy"]["sequences"] == sum(a.work["reward"].reward_calls for a in answers)
    assert usage["policy"]["tokens"] + 8 == sum(a.work["value"].policy_tokens for a in answers)
    assert usage["value"]["sequences"] == sum(a.work["value"].value_calls for a in answers)


def test_prompts_do_not_influence_each_other(tiny_handle):
    search = Search(2, 3, 4)
    together = guided_search(tiny_handle, Guide(), tiny_prompts(), search, Streams(0))
    for i, prompt in enumerate(tiny_prompts()):
        (alone,) = guided_search(tiny_handle, Guide(), [prompt], search, Streams(0))
        assert [c.completion.tokens for c in alone.finalists] == [c.completion.tokens for c in together[i].finalists]


def test_token_limits_are_kept(tiny_handle):
    answers = guided_search(tiny_handle, Guide(), tiny_prompts(), Search(2, 2, 5), Streams(0))
    assert all(len(c.completion.tokens) <= TINY_SAMPLER.max_new_tokens for a in answers for c in a.finalists)


def test_a_recorded_tree_changes_no_answer_and_its_kept_prefixes_lead_to_the_finalists(toy, toy_handle, tiny_handle):
    cases = [
        (toy_handle, toy_prompts(10), [exact_value(toy)], Search(2, 3, 1)),
        (toy_handle, toy_prompts(10), [exact_value(toy)], Search(3, 2, 2, "resample")),
        (tiny_handle, tiny_prompts(), [], Search(2, 2, 5)),
    ]
    for handle, prompts, values, search in cases:
        betas = [1.0] * len(values)
        plain = guided_search(handle, Guide(values, betas), prompts, search, Streams(0))
        tree = Tree()
        traced = guided_search(handle, Guide(values, betas), prompts, search, Streams(0), observe=tree)
        assert str(traced) == str(plain)  # by text: a reward that was not asked for is NaN
        for answer in traced:
            rounds = tree.rounds[answer.prompt.id]
            assert len(rounds[0]) == search.width * search.successors
            assert all(prefix.parent is None for prefix in rounds[0])
            for before, after in pairwise(rounds):
                assert {prefix.parent for prefix in after} == {j for j, prefix in enumerate(before) if prefix.kept}
                assert all(prefix.text.startswith(before[prefix.parent].text) for prefix in after)
            last = {(p.text, p.score) for p in rounds[-1] if p.kept}
            assert last == {(c.completion.text, c.score) for c in answer.finalists}
