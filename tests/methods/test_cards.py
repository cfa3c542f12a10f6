import numpy as np

from harness.core.reward import RewardHandle, Scale
from harness.core.streams import Streams
from harness.methods.cards import Cards
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, chi_square, toy_prompts

WHOLE = {"alpha": 1, "entropy": 1e9, "shortest": 4, "longest": 64}  # a segment is a whole text, the threshold is r*


def reward(ledger, of=lambda c: proxy_of(c.text)):
    return RewardHandle(lambda cs: np.array([of(c) for c in cs]), ledger, Scale(0, 1))


def answers(handle, ledger, prompts, of=lambda c: proxy_of(c.text), **settings):
    return Cards(Cards.Config(**settings), handle, reward(ledger, of), Streams(0)).generate(prompts)


def counts(got, exact):
    drawn = [a.pick("first").tokens for a in got]
    assert len(drawn) == sum(drawn.count(y) for y in exact)
    return np.array([drawn.count(y) for y in exact])


def test_a_threshold_far_below_accepts_everything_and_is_base(toy, toy_handle, ledger):
    """Chi-square; a correct method fails once in 10,000 seeds. Every token is paid for once."""
    exact = toy.finished_distribution(TOY_SAMPLER, 0)
    got = answers(toy_handle, ledger, toy_prompts(3000, topic=0), target=-1e6, shortest=1, entropy=0.5)
    assert chi_square(counts(got, exact), 3000 * np.array(list(exact.values()))) > 1e-4
    assert all(a.work["first"].policy_tokens == 1 + len(a.pick("first").tokens) for a in got)


def test_whole_texts_follow_the_enumerated_rejection_rule(toy, toy_handle, ledger):
    """pi(y) min(1, exp((r(y) - r*) / beta)) / Z, with attempts enough that hardly a text is ever forced."""
    config = {**WHOLE, "target": 1.0, "beta": 0.7, "attempts": 400}
    exact = toy.tilted_distribution(TOY_SAMPLER, 0, lambda y: min(0.0, (proxy_of(toy.text(y)) - 1.0) / 0.7))
    got = answers(toy_handle, ledger, toy_prompts(3000, topic=0), **config)
    assert chi_square(counts(got, exact), 3000 * np.array(list(exact.values()))) > 1e-4


def test_an_unreachable_target_takes_the_best_of_the_attempts(toy, toy_handle, ledger):
    """Mean reward equals the enumerated best of 4; five standard errors. Four texts were scored, and the prompt."""
    texts = toy.finished_distribution(TOY_SAMPLER, 0)
    levels = sorted({proxy_of(toy.text(y)) for y in texts})
    below = [sum(p for y, p in texts.items() if proxy_of(toy.text(y)) <= level) for level in levels]
    best = np.diff([0.0, *[b**4 for b in below]])
    got = answers(toy_handle, ledger, toy_prompts(2000, topic=0), **WHOLE, target=1e6, beta=1e-3, attempts=4)
    rewards = np.array([proxy_of(a.pick("first").text) for a in got])
    assert abs(rewards.mean() - best @ levels) < 5 * rewards.std() / np.sqrt(2000)
    assert {a.work["first"].reward_calls for a in got} == {5}


def test_rejected_tokens_are_cost(toy_handle, ledger):
    got = answers(toy_handle, ledger, toy_prompts(200), target=2.0, beta=0.1, shortest=1, entropy=0.5, attempts=5)
    spent = np.array([a.work["first"].policy_tokens - 1 - len(a.pick("first").tokens) for a in got])
    assert (spent >= 0).all() and spent.mean() > 2


def test_the_threshold_rises_from_the_prompts_reward_to_the_target():
    method = Cards.__new__(Cards)
    method.config = Cards.Config(target=2.0, beta=1e-9, attempts=100)
    from harness.methods.cards import _Text

    for length, reward_, accepted in ((4, 1.1, False), (4, 1.3, True), (16, 1.9, False), (16, 2.1, True)):
        text = _Text(np.random.default_rng(0), first=1.0)  # at 4 of 16 tokens the threshold is 1.25
        assert (method._decide(text, tuple(range(length)), reward_, 16) == 0) == accepted


def test_a_segment_without_a_reward_is_not_taken_while_another_is_there(toy_handle, ledger):
    def of(completion):
        return np.nan if "a" in completion.text else 1.0

    got = answers(toy_handle, ledger, toy_prompts(100), of, target=0.0, shortest=1, entropy=0.5, attempts=200)
    assert all("a" not in a.pick("first").text for a in got)


def test_a_reward_that_is_missing_for_the_prompt_alone_stops_nothing(toy_handle, ledger):
    got = answers(toy_handle, ledger, toy_prompts(1), lambda c: proxy_of(c.text) if c.text else np.nan, target=0.0)
    assert len(got) == 1 and got[0].pick("first").stop is not None
