from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.models.preference import DpoSettings
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.search.search import Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.values.log_ratio import LogRatio
from harness.methods.dpo import Dpo
from harness.methods.weak_to_strong import WeakToStrong
from tests.conftest import TINY_SAMPLER, TOY_SAMPLER, tiny_prompts


@pytest.fixture(scope="module")
def other(tiny):
    torch.manual_seed(5)
    return TransformersPolicy(LlamaForCausalLM(tiny.model.config), tiny.tokenizer, "other", "other")


@pytest.fixture
def handle_of(ledger):
    """Handles on the ledger of `tiny_handle`."""
    return lambda policy: PolicyHandle(policy, TINY_SAMPLER, ledger)


def check(reader, rows, pair, tolerance, as_read=lambda completion: completion):
    """After each of several ragged chunks and reorderings, S is the difference of summed log-probabilities."""
    generator = torch.Generator().manual_seed(3)
    for n in (3, 1, 4, 4):
        got = reader.advance(rows.extend(n))
        tuned, untuned = (guide.logprobs([as_read(c) for c in rows.completions()]) for guide in pair)
        expected = [t.sum() - u.sum() for t, u in zip(tuned, untuned, strict=True)]
        assert np.abs(got.numpy() - np.array(expected)).max() < tolerance
        index = torch.cat([4 * p + torch.randint(4, (4,), generator=generator) for p in range(4)])
        rows.select(index, torch.arange(4).repeat(4))
        reader.reorder(index)


def test_the_guide_is_the_difference_of_log_probabilities_through_any_history(tiny, other, tiny_handle, handle_of):
    prompts = tiny_prompts()
    rows = tiny_handle.decode(prompts, 4, Streams(2))
    guide = LogRatio.beside(tiny_handle, handle_of(other), tiny_handle)
    assert guide.by_token
    check(guide.start(rows), rows, (other, tiny), 1e-3)


def test_the_policy_as_untuned_model_reads_nothing_again(tiny, other, tiny_handle, handle_of, ledger):
    """The same values as of a policy by another name, which is read, at half the tokens."""
    sums, tokens = [], []
    for fingerprint in ("tiny", "somewhere else"):
        untuned = handle_of(tiny)
        untuned.fingerprint = fingerprint
        guide = LogRatio.beside(tiny_handle, handle_of(other), untuned)
        rows = tiny_handle.decode(tiny_prompts(), 4, Streams(2))
        ledger.drain()
        reader = guide.start(rows)
        sums.append(torch.stack([reader.advance(rows.extend(n)) for n in (3, 1, 4, 4)]))
        tokens.append(reader.tokens_read)
        (booked,) = (row["prefill_tokens"] for row in ledger.drain() if row["role"] == "value")
        assert booked == reader.tokens_read.sum()
    assert torch.allclose(*sums, atol=1e-3) and (2 * tokens[0] == tokens[1]).all()


def test_another_tokenizer_reads_the_text_as_its_own_tokens_through_any_history(tiny, other, tiny_handle, handle_of):
    def reread(completion):
        return replace(completion, tokens=other.tokens_of(completion.text))

    rows = tiny_handle.decode(tiny_prompts(), 4, Streams(2))
    guide = LogRatio(handle_of(other), tiny_handle, by_token=False)
    check(guide.start(rows), rows, (other, tiny), 1e-3, reread)


def test_on_the_toy_search_finds_what_the_tuned_table_likes_more(toy, toy_handle, ledger):
    from harness.core.models.toy import ToyPolicy
    from tests.conftest import toy_prompts

    tuned, prompts = ToyPolicy(letters=3, length=4, topics=2, seed=1), toy_prompts(60)
    guide = LogRatio.beside(toy_handle, PolicyHandle(tuned, TOY_SAMPLER, ledger), toy_handle)
    guided = guided_search(toy_handle, Guide([guide], [1.0]), prompts, Search(4, 4, 1), Streams(0))
    plain = guided_search(toy_handle, Guide(), prompts, Search(4, 4, 1), Streams(0))

    def liked(answers, pick):
        texts = [a.pick(pick) for a in answers]
        return np.array([t.sum() - u.sum() for t, u in zip(tuned.logprobs(texts), toy.logprobs(texts), strict=True)])

    gain = liked(guided, "value") - liked(plain, "first")
    assert gain.mean() > 5 * gain.std() / np.sqrt(60)
    for answer, exact in zip(guided, liked(guided, "value"), strict=True):
        assert answer.finalists[answer.picks["value"]].score == pytest.approx(exact, abs=1e-4)
        tokens = answer.work["value"].value_tokens
        assert tokens == answer.work["value"].policy_tokens  # the tuned model read each; the policy had sampled them


def test_half_a_pair_is_refused(tiny_handle):
    for half in ({"tuned": "somewhere"}, {"untuned": "somewhere"}):
        with pytest.raises(UserError, match="give both models of the pair, or neither"):
            WeakToStrong(WeakToStrong.Config(**half), tiny_handle, None, Streams(0))


def test_a_given_pair_is_loaded_beside_the_policy_and_needs_no_trainer(tiny, tiny_handle, monkeypatch):
    """The same model twice: every prefix is worth 0, and the first row is taken."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    given = WeakToStrong.Config(tuned="one", untuned="other")
    assert WeakToStrong.unavailable("tiny", given) is None and WeakToStrong.unavailable("tiny", WeakToStrong.Config())
    method = WeakToStrong(WeakToStrong.Config(2, 2, 4, tuned="one", untuned="other"), tiny_handle, None, Streams(0))
    method.fit(1, [])
    for answer in method.generate(tiny_prompts()):
        assert answer.finalists[answer.picks["value"]].score == pytest.approx(0.0, abs=1e-4)
    assert method.fit_inputs() == {"tuned": "one", "untuned": "other"}


def test_without_a_pair_it_is_guided_by_the_copy_that_dpo_samples():
    """The same settings make the same fit, which is then trained once for both."""
    dpo = DpoSettings(learning_rate=3e-4)
    assert WeakToStrong.fit_config(WeakToStrong.Config(dpo=dpo, chunk=4), 1) == Dpo.fit_config(dpo, 1)
    assert WeakToStrong.fitted_as == Dpo.fitted_as is not None
