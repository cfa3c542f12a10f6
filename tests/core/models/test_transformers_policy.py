"""The batched decoder against transformers' own forward, on a tiny random model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
)

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.models.loading import load_policy
from harness.core.models.sampling import Sampler
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.streams import Streams
from harness.core.types import Message, Prompt
from tests.conftest import TINY_SAMPLER, tiny_prompts
from tests.core.models.architectures import make
from tests.core.models.tokenizers_made_here import word_level


def reference(tiny, prompt, tokens):
    """Log-probabilities and hidden states of one completion by one plain forward pass."""
    ids = torch.tensor([list(tiny.encode(prompt)) + list(tokens)])
    with torch.no_grad():
        out = tiny.model(ids, output_hidden_states=True)
    n = len(tiny.encode(prompt))
    logprobs = out.logits.log_softmax(-1)[0, n - 1 : -1].gather(1, ids[0, n:, None])[:, 0]
    return (
        logprobs.numpy(),
        [h[0, n:].numpy() for h in out.hidden_states],
        [h[0, :n].numpy() for h in out.hidden_states],
    )


def test_logprobs_equal_a_plain_forward_for_prompts_of_mixed_lengths(tiny, tiny_handle):
    rows = tiny_handle.decode(tiny_prompts(), 3, Streams(0))
    rows.extend(12)
    completions = rows.completions()
    for completion, got in zip(completions, tiny.logprobs(completions), strict=True):
        assert got.shape == (len(completion.tokens),)
        assert np.abs(got - reference(tiny, completion.prompt, completion.tokens)[0]).max() < 1e-4


def test_states_of_every_row_equal_a_plain_forward_after_reordering(tiny, tiny_handle):
    layers = (0, 2, 4)
    rows = tiny_handle.decode(tiny_prompts(), 4, Streams(1), layers, record=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        rows.extend(4)
        picks = torch.cat([4 * p + torch.randint(4, (4,), generator=generator) for p in range(4)])
        rows.select(picks, torch.arange(4).repeat(4))
    for i, completion in enumerate(rows.completions()):
        got = rows.states_of(i)
        _, states, prompt = reference(tiny, completion.prompt, completion.tokens)
        for column, layer in enumerate(layers):
            for kept, exact in (
                (got.states[:, column], states[layer]),
                (got.prompt_mean[column], prompt[layer].mean(0)),
                (got.prompt_last[column], prompt[layer][-1]),
            ):
                assert np.allclose(kept, exact, rtol=1e-3, atol=1e-3)  # kept in half precision


def test_a_prompt_gives_the_same_tokens_alone_and_in_a_padded_batch(tiny, tiny_handle):
    together = tiny_handle.decode(tiny_prompts(), 2, Streams(0))
    together.extend(12)
    for i, prompt in enumerate(tiny_prompts()):
        alone = tiny_handle.decode([prompt], 2, Streams(0))
        alone.extend(12)
        assert alone.tokens_of() == together.tokens_of()[2 * i : 2 * i + 2]


def test_each_of_several_eos_ids_ends_a_row_and_nothing_follows(tiny, tiny_handle):
    rows = tiny_handle.decode(tiny_prompts(), 16, Streams(3))
    rows.extend(12)
    ends = set()
    for completion in rows.completions():
        assert not {0, 5} & set(completion.tokens[:-1])
        if completion.stop == "eos":
            ends.add(completion.tokens[-1])
        else:
            assert len(completion.tokens) == TINY_SAMPLER.max_new_tokens
    assert ends == {0, 5}


def test_finished_rows_leave_the_batch(tiny, tiny_handle, ledger):
    """Once an eighth of the batch has ended, the model reads fewer rows."""
    rows = tiny_handle.decode(tiny_prompts(), 16, Streams(3))
    sizes = []
    plain = tiny.feed
    try:
        tiny.feed = lambda cache, tokens, layers: sizes.append(len(tokens)) or plain(cache, tokens, layers)
        rows.extend(12)
    finally:
        tiny.feed = plain
    assert sizes[0] == 64 and sizes[-1] <= 64 - 8


def test_pad_and_eos_being_one_token_changes_no_state(tiny, tiny_handle):
    """A prompt may contain the pad token itself; nothing may take it for padding."""
    prompts = [Prompt("x", text="ab<eos>c"), Prompt("y", text="a much longer prompt than that")]
    rows = tiny_handle.decode(prompts, 1, Streams(0), (4,), record=True)
    rows.extend(3)
    completion = rows.completions()[0]
    assert 0 in tiny.encode(prompts[0])
    _, states, _ = reference(tiny, completion.prompt, completion.tokens)
    assert np.allclose(rows.states_of(0).states[:, 0], states[4], rtol=1e-3, atol=1e-3)


def test_messages_go_through_the_chat_template(tiny):
    prompt = Prompt("m", messages=(Message("user", "hi"),))
    assert tiny.text(tiny.encode(prompt)) == tiny.text(tiny.encode(Prompt("t", text="user.hi")))


PATHS = {"llama": "shared prefix", "gpt2": "shared prefix", "gpt_neox": "shared prefix", "gemma2": "plain"}


@pytest.mark.parametrize("path", ["shared prefix", "plain"])
def test_next_token_log_probabilities_equal_a_plain_forward_through_any_history(tiny, ledger, monkeypatch, path):
    """Prompts of mixed lengths, rows that repeat, vanish and finish, uneven numbers of them a prompt."""
    assert tiny.path == PATHS[tiny.model.config.model_type]
    monkeypatch.setattr(tiny, "path", path)
    check_histories(tiny, ledger, 1e-4)
    check_histories(tiny, ledger, 1e-4, layers=(1, 4))
    check_taken_back(tiny, ledger, 1e-4)


def check_histories(policy, ledger, tolerance, layers=(0, 2)):
    sampler = replace(TINY_SAMPLER, max_new_tokens=48)  # past the growth of a row's cache
    rows = PolicyHandle(policy, sampler, ledger).decode(tiny_prompts(), 6, Streams(4), layers)
    generator, compared = torch.Generator().manual_seed(1), 0
    for step in (1, 7, 3, 24, 9):
        rows.extend(step)
        completions = rows.completions()
        for logits, row in zip(rows._logits, rows._in_cache.tolist(), strict=True):
            completion = completions[row]
            if completion.stop is None:
                ids = torch.tensor([[*policy.encode(completion.prompt), *completion.tokens]])
                expected = policy.model(ids).logits[0, -1].log_softmax(-1)
                assert (logits.log_softmax(-1) - expected).abs().max() < tolerance
                compared += 1
        check_candidates(policy, rows, completions, tolerance)
        index = torch.randint(len(rows.owner), (20,), generator=generator).sort().values
        rows.select(index, torch.arange(20) % 6)
    assert compared > 60


def check_taken_back(policy, ledger, tolerance):
    """Rows of one batch go back different ways, more than once, and finished ones too; logits are as if never there."""
    rows = PolicyHandle(policy, TINY_SAMPLER, ledger).decode_tokens(tiny_prompts(), 3, Streams(6), revocable=True)
    generator, history = torch.Generator().manual_seed(2), []
    for _ in range(9):
        logits = torch.zeros(12, 97)
        logits[rows.next_logits()[0]] = rows.next_logits()[1]
        history.append(([len(t) for t in rows.tokens_of()], logits))
        rows.extend(1)
        lengths, counts, at = [len(t) for t in rows.tokens_of()], torch.zeros(12, dtype=torch.long), logits.clone()
        for row in torch.randperm(12, generator=generator)[:4].tolist():
            past = [(n, x[row]) for before, x in history for n in [before[row]] if 0 < lengths[row] - n <= 2]
            if past:
                counts[row], at[row] = lengths[row] - past[-1][0], past[-1][1]
        rows.take_back(counts, at)
        for row, got in zip(*rows.next_logits(), strict=True):
            completion = rows.completions()[row]
            if completion.stop is None:
                ids = torch.tensor([[*policy.encode(completion.prompt), *completion.tokens]])
                expected = policy.model(ids).logits[0, -1].log_softmax(-1)
                assert (got.log_softmax(-1) - expected).abs().max() < tolerance
    assert 10 < sum(map(len, rows.tokens_of())) < 12 * 9
    rows.release()
    assert (~rows.finished).sum() == len(rows.next_logits()[0])


def check_candidates(policy, rows, completions, tolerance):
    """States of candidates equal those of a forward pass over each, and looking at them changes nothing."""
    if rows.finished.all():
        return
    before = rows.choices()
    tokens = before.tokens[:, :5]
    states = rows.peek(tokens)
    for i, row in enumerate(before.rows.tolist()):
        for k, token in enumerate(tokens[i].tolist()):
            ids = torch.tensor([[*policy.encode(completions[row].prompt), *completions[row].tokens, token]])
            expected = policy.model(ids, output_hidden_states=True).hidden_states
            for layer in rows.prompt_chunk.states:
                assert (states[layer][i, k] - expected[layer][0, -1]).abs().max() < 10 * tolerance
    assert torch.equal(rows.choices().probabilities, before.probabilities)


def test_row_bytes_grow_with_length_and_a_prompt_counts_once(tiny):
    token = 2 * 4 * 2 * 8 * 4  # keys, values: blocks, heads, dim, bytes
    assert tiny.row_bytes(10, 10, 4) - tiny.row_bytes(10, 9, 4) == 2 * token
    assert tiny.row_bytes(12, 10, 4) - tiny.row_bytes(8, 10, 4) == token


@pytest.mark.parametrize("name, says", [("./nowhere", "no such folder"), ("~/nowhere", "no such folder")])
def test_a_missing_model_folder_is_named(tmp_path, name, says):
    with pytest.raises(UserError, match=says):
        load_policy(name, "cpu", "float32", tmp_path)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_policy(str(tmp_path), "cpu", "float32", tmp_path)


def test_an_unreachable_hub_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="hub"):
        load_policy("no-such-org/no-such-model", "cpu", "float32", tmp_path)


def test_a_saved_model_loads_with_the_same_numbers(tiny, tmp_path):
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    again = load_policy(str(tmp_path / "model"), "cpu", "float32", tmp_path)
    assert again.eos_ids == frozenset({0, 5})
    prompt = tiny_prompts()[1]
    assert np.array_equal(reference(tiny, prompt, (3, 4))[0], reference(again, prompt, (3, 4))[0])


def test_half_precision_decodes_and_hands_out_float32_states(tiny, tmp_path, ledger):
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    policy = load_policy(str(tmp_path / "model"), "cpu", "bfloat16", tmp_path)
    assert policy.model.dtype == torch.bfloat16
    rows = PolicyHandle(policy, TINY_SAMPLER, ledger).decode(tiny_prompts(), 2, Streams(0), (2,), record=True)
    chunk = rows.extend(4)
    assert chunk.states[2].dtype == torch.float32
    assert all(np.isfinite(lp).all() for lp in policy.logprobs(rows.completions()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_tokens_on_a_gpu_in_float32(tiny, tmp_path, ledger):
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    gpu = load_policy(str(tmp_path / "model"), "cuda", "float32", tmp_path)
    both = []
    for policy in (tiny, gpu):
        rows = PolicyHandle(policy, TINY_SAMPLER, ledger).decode(tiny_prompts(), 4, Streams(0))
        rows.extend(12)
        both.append(rows.tokens_of())
    assert both[0] == both[1]


def other_models():
    common = {"vocab_size": 97, "eos_token_id": 0, "bos_token_id": 0}
    small = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    windowed = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6, "pad_token_id": 0}
    yield GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=4, n_head=4, **common))
    yield GPTNeoXForCausalLM(GPTNeoXConfig(**small, **common))
    yield Gemma2ForCausalLM(Gemma2Config(**small, **windowed, **common))  # every other block sees six tokens


@pytest.mark.parametrize("model", list(other_models()), ids=lambda m: m.config.model_type)
def test_other_architectures_agree_with_their_own_forward(tiny, ledger, model):
    """Learned and rotary positions, sliding windows; prompts of mixed lengths, reordered beams."""
    policy = TransformersPolicy(model, tiny.tokenizer, "other", "other")
    assert policy.path == PATHS[model.config.model_type]
    check_histories(policy, ledger, 1e-4)
    check_taken_back(policy, ledger, 1e-4)
    rows = PolicyHandle(policy, TINY_SAMPLER, ledger).decode(tiny_prompts(), 4, Streams(1), (2, 4), record=True)
    for _ in range(3):
        rows.extend(4)
        rows.select(torch.tensor([4 * p + j for p in range(4) for j in (2, 0, 2, 1)]), torch.arange(4).repeat(4))
    completions = rows.completions()
    for i, (completion, logprobs) in enumerate(zip(completions, policy.logprobs(completions), strict=True)):
        expected, states, _ = reference(policy, completion.prompt, completion.tokens)
        assert np.abs(logprobs - expected).max() < 1e-4
        for column, layer in enumerate((2, 4)):
            assert np.allclose(rows.states_of(i).states[:, column], states[layer], rtol=2e-3, atol=2e-3)


def poisoned() -> TransformersPolicy:
    """Behind token 40 there is nothing but NaN, as where half precision overflows."""
    policy = TransformersPolicy(make("llama"), word_level(), "poisoned", "poisoned")
    policy.model.get_input_embeddings().weight.data[40] = torch.nan
    return policy


def test_rows_without_finite_logits_stop_the_batch_before_anything_is_scored(ledger):
    handle = PolicyHandle(poisoned(), Sampler(top_k=0, max_new_tokens=24), ledger)
    rows = handle.decode(tiny_prompts(), 16, Streams(0))
    with pytest.raises(UserError, match=r"model 'poisoned' gives no finite logits for \d+ of 64 rows"):
        rows.extend(24)
    single = handle.decode_tokens(tiny_prompts(), 1, Streams(0))
    single.write(torch.tensor([40, 1, 2, 3]))
    with pytest.raises(UserError, match="no finite logits for 1 of 4 rows"):
        single.choices()


def test_a_finished_row_may_give_what_it_likes(ledger):
    """It is fed no token of its own any more, and nobody draws from it."""
    policy = poisoned()
    policy.eos_ids = frozenset({40})
    rows = PolicyHandle(policy, Sampler(top_k=0, max_new_tokens=24), ledger).decode(
        tiny_prompts(), 16, Streams(0), (1,)
    )
    rows.extend(24)
    assert any(c.tokens[-1] == 40 for c in rows.completions())
