"""What `harness grade` says of a grader's scores, against scores whose spread is known."""

import math

import numpy as np
import pytest

from harness.core.graders.grade import Grade
from harness.running.grading import GradedSamples


def graded(scores: np.ndarray) -> GradedSamples:
    """Of scores (P, n), those of each prompt together."""
    grades = [Grade.failed("other_error", "none") if np.isnan(x) else Grade(float(x)) for x in scores.ravel()]
    names = [f"p{i}" for i in range(len(scores)) for _ in range(scores.shape[1])]
    return GradedSamples("g", grades, grades, 0.1, names)


def test_the_spread_within_and_between_prompts_is_that_of_the_scores_by_hand():
    found = graded(np.array([[70.0, 90.0, 80.0], [10.0, np.nan, 30.0], [np.nan, np.nan, 55.0]]))
    assert found.within == pytest.approx(math.sqrt((100 + 0 + 100 + 100 + 100) / 3))
    between = (80 - 50) ** 2 + (20 - 50) ** 2 - found.within**2 * (1 / 3 + 1 / 2) / 2
    assert found.between == pytest.approx(math.sqrt(between))
    assert found.telling == 2 and found.errors == {"other_error": 3}


def test_chance_among_few_samples_is_no_spread_between_prompts_and_makes_none_within_smaller():
    """Four samples of sd 20 a prompt, all prompts alike: it said 17 within and 10 between. 200 prompts, fixed seed."""
    rng = np.random.default_rng(0)
    alike = graded(rng.normal(70, 20, (200, 4)))
    assert alike.within == pytest.approx(20, rel=0.1) and alike.between < 5
    apart = graded(rng.normal(70, 20, (200, 4)) + rng.normal(0, 50, (200, 1)))
    assert apart.within == pytest.approx(20, rel=0.1) and apart.between == pytest.approx(50, rel=0.2)
    constant = graded(np.full((5, 4), 3.0))
    assert constant.within == 0 == constant.between and not constant.can_gain


def test_one_sample_a_prompt_has_no_spread():
    assert math.isnan(graded(np.array([[1.0], [2.0]])).within) and math.isnan(graded(np.array([[1.0, 2.0]])).between)
