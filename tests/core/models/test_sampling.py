import numpy as np
import pytest
import torch
from pydantic import ValidationError

from harness.core.errors import UserError
from harness.core.models.sampling import Sampler, draw, sample, support

LOGITS = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()


def by_token(logits, sampler):
    tokens, probabilities = support(logits, sampler)
    out = torch.zeros(logits.shape)
    return out.scatter_(1, tokens, probabilities)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"top_k": 0}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 0, "top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        # top-k first: within the top 3 (0.444, 0.333, 0.222) a nucleus of 0.5 needs two tokens
        ({"top_k": 3, "top_p": 0.5}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 3, "top_p": 0.44}, [1, 0, 0, 0]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"top_k": 0, "temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        ({"top_k": 100}, [0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_support_by_hand(settings, expected):
    assert by_token(LOGITS, Sampler(**settings))[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
def test_nucleus_without_top_k_equals_a_full_sort(top_p):
    logits = torch.randn(7, 5000, generator=torch.Generator().manual_seed(0)) * 2
    got = by_token(logits, Sampler(top_k=0, top_p=top_p))
    probabilities, order = logits.softmax(-1).sort(descending=True)
    probabilities[probabilities.cumsum(-1) - probabilities >= top_p] = 0
    expected = torch.zeros_like(logits).scatter_(1, order, probabilities / probabilities.sum(-1, keepdim=True))
    assert torch.allclose(got, expected, atol=1e-5)


def test_a_grid_of_uniforms_draws_every_token_by_its_share():
    grid = (torch.arange(1000) + 0.5) / 1000
    tokens = sample(LOGITS.expand(1000, -1), grid, Sampler(top_k=0))
    assert torch.bincount(tokens).tolist() == [400, 300, 200, 100]


def test_extreme_uniforms_never_draw_a_token_of_probability_zero():
    tokens = torch.tensor([[3, 1, 2]]).expand(2, -1)
    probabilities = torch.tensor([[0.5, 0.5, 0.0]]).expand(2, -1)
    assert draw(tokens, probabilities, torch.tensor([0.0, np.nextafter(1.0, 0.0)])).tolist() == [3, 1]


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"max_new_tokens": 0}]
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        Sampler(**bad)


@pytest.mark.parametrize("vocabulary, k", [(49_152, 50), (9_000, 70), (8_970, 70), (97, 5)])
def test_top_k_is_that_of_torch(vocabulary, k):
    logits = torch.randn(16, vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    tokens, probabilities = support(logits, Sampler(top_k=k))
    top, expected = logits.topk(k)
    assert (tokens == expected).all()
    assert torch.allclose(probabilities, top.softmax(-1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "sampler", [{"top_k": 0}, {"top_k": 5}, {"top_k": 0, "top_p": 0.9}, {"temperature": 0}, {"top_k": 50, "top_p": 0.9}]
)
@pytest.mark.parametrize("vocabulary", [8, 9000])
def test_logits_that_are_no_numbers_are_no_tokens(bad, sampler, vocabulary):
    """NaN became token 0 or any other, and was scored as an answer like the rest."""
    logits = torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(0))
    logits[1, vocabulary // 2] = bad
    logits[2] = -np.inf
    uniforms = torch.full((4,), 0.5)
    with pytest.raises(UserError, match=r"no finite logits for 2 of 4 rows.*--dtype float32"):
        sample(logits, uniforms, Sampler(**sampler))
    fine = torch.tensor([0, 3])
    assert len(sample(logits[fine], uniforms[fine], Sampler(**sampler))) == 2


@pytest.mark.parametrize("sampler", [{"top_k": 0}, {"top_k": 5}, {"top_k": 0, "top_p": 0.9}, {"temperature": 0}])
def test_tokens_that_a_model_rules_out_are_no_fault(sampler):
    logits = torch.full((1, 8), -np.inf)
    logits[0, 3] = 1.0
    assert sample(logits, torch.tensor([0.5]), Sampler(**sampler)).tolist() == [3]
