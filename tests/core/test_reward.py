import numpy as np
import pytest

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.reward import RewardHandle, Scale, argmax, checked, require_some
from harness.core.types import Completion
from tests.conftest import toy_prompts

COMPLETIONS = [Completion(p, (1,), "a", "eos") for p in toy_prompts(3)]


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[1.0], [2.0], [3.0]], 1.0])
def test_a_reward_of_the_wrong_shape_is_named(scores):
    with pytest.raises(UserError, match=r"returned shape .* for 3 completions"):
        checked("proxy", lambda _: scores, COMPLETIONS)


def test_a_reward_of_only_nan_stops_with_an_example():
    with pytest.raises(UserError, match=r"no finite score for any of 3 completions, e\.g\. 'a'"):
        require_some(
            "proxy", checked("proxy", lambda _: [float("nan"), float("inf"), float("nan")], COMPLETIONS), COMPLETIONS
        )


def test_infinite_scores_count_as_unscored():
    assert np.isnan(checked("proxy", lambda _: [1.0, float("inf"), 2.0], COMPLETIONS)).tolist() == [False, True, False]


def test_an_affine_change_of_the_reward_changes_nothing():
    raw = np.array([0.5, -1.0, 3.0])
    ledger = Ledger()
    handles = [RewardHandle(lambda _, s=s: s, ledger, Scale.of("proxy", s)) for s in (raw, 7 * raw + 3)]
    with ledger.phase("generate"):
        one, two = (handle(COMPLETIONS) for handle in handles)
    assert one == pytest.approx(two, abs=1e-5)
    assert one.mean() == pytest.approx(0, abs=1e-6)


def test_a_constant_reward_is_refused():
    with pytest.raises(UserError, match="nothing to optimise"):
        Scale.of("the proxy", np.ones(4))


def test_nan_never_wins():
    assert argmax(np.array([float("nan"), -5.0, -4.0])) == 2
    assert argmax(np.array([float("nan"), float("nan")])) == 0
    assert argmax(np.array([1.0, 1.0])) == 0
