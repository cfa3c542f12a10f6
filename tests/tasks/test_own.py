"""The task of prompts and a function."""

from harness.core.given_prompts import prompts_of
from harness.core.given_reward import Reward
from harness.tasks.own import own_task, settings_of


def test_fitted_and_answered_prompts_are_disjoint_and_repeats_have_ids_of_their_own():
    given = prompts_of([f"text {i % 6}" for i in range(12)])
    kind = own_task(given, Reward.of(lambda prompt, response: 0.0), "some model")
    task = kind(kind.Config(held_out=3), None, None)
    fit, test = task.prompts("fit"), task.prompts("test")
    assert (len(fit), len(test)) == (9, 3) and len({p.id for p in fit + test}) == 12
    assert task.prompts("development") == test
    facts = task.describe()
    assert "no held-out judgement" in facts["gold"] and facts["answered_prompts_also_fitted_on"] == 1


def test_the_settings_name_prompts_and_reward():
    def one(prompt, response):
        return 0.0

    def other(prompt, response):
        return 1.0

    def named(texts, function=one):
        return settings_of(prompts_of(texts), Reward.of(function), 1)

    assert named(["a", "b"]) == named(["a", "b"])
    assert named(["a", "b"]) != named(["b", "a"]) != named(["a", "c"])
    assert named(["a"])["reward"] != named(["a"], other)["reward"]
