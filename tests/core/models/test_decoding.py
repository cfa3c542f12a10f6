import numpy as np
import torch

from harness.core.streams import Streams
from tests.conftest import TOY_SAMPLER, chi_square, toy_prompts


def decode(handle, prompts, n=1, seed=0, layers=(), record=False, chunks=(4,)):
    rows = handle.decode(prompts, n, Streams(seed), layers, record)
    for chunk in chunks:
        rows.extend(chunk)
    return rows


def test_a_row_is_the_same_alone_or_among_many(toy_handle):
    prompts = toy_prompts(6)
    many = [c.tokens for c in decode(toy_handle, prompts, 8).completions()]
    for i, prompt in enumerate(prompts):
        assert decode(toy_handle, [prompt]).completions()[0].tokens == many[8 * i]


def test_chunks_do_not_change_what_is_sampled(toy_handle):
    prompts = toy_prompts(6)
    whole, cut = decode(toy_handle, prompts, 4), decode(toy_handle, prompts, 4, chunks=(1, 2, 1))
    assert whole.tokens_of() == cut.tokens_of()


def test_a_chunk_longer_than_any_text_takes_no_more_room(toy_handle):
    """`iro.chunk=1000000000` asked for 256 GB; it is one chunk of a whole text."""
    prompts = toy_prompts(6)
    assert decode(toy_handle, prompts, 4, chunks=(10**9,)).tokens_of() == decode(toy_handle, prompts, 4).tokens_of()
    assert toy_handle.decode(prompts, 4, Streams(0), (1,), False).extend(10**20).tokens.shape == (24, 4)


def test_samples_follow_the_enumerated_distribution(toy, toy_handle):
    """Chi-square over all finished texts; a correct sampler fails once in 10,000 seeds, and the seed is fixed."""
    n = 4000
    texts = [c.tokens for c in decode(toy_handle, toy_prompts(n, topic=1)).completions()]
    exact = toy.finished_distribution(TOY_SAMPLER, 1)
    counts = np.array([texts.count(y) for y in exact])
    assert counts.sum() == n
    assert chi_square(counts, n * np.array(list(exact.values()))) > 1e-4


def test_every_finished_row_was_fed_its_last_token_once(toy, toy_handle):
    """States along a row are the nodes of its prefixes; the last is the finished text, at its end-of-sequence token."""
    rows = decode(toy_handle, toy_prompts(10), 4, layers=(1,), record=True, chunks=(1, 3))
    for i, completion in enumerate(rows.completions()):
        topic = int(completion.prompt.text[-1])
        states = rows.states_of(i).states[:, 0]
        assert len(states) == len(completion.tokens)
        for t in range(len(states)):
            assert states[t].argmax() == toy.index[topic, completion.tokens[: t + 1]]
        assert rows.states_of(i).prompt_last[0].argmax() == toy.index[topic, ()]


def test_select_copies_prefixes_and_gives_them_other_streams(toy_handle):
    rows = decode(toy_handle, toy_prompts(1, topic=0), 8, chunks=(1,))
    unfinished = int((~rows.finished).nonzero()[0])
    before = rows.tokens_of()[unfinished]
    rows.select(torch.tensor([unfinished] * 8), torch.arange(8))
    rows.extend(3)
    after = rows.tokens_of()
    assert all(tokens[:1] == before for tokens in after)
    assert len(set(after)) > 1


def test_a_selected_row_continues_as_its_slot_would(toy_handle):
    """Keeping every row in its slot changes nothing."""
    plain = decode(toy_handle, toy_prompts(5), 4)
    kept = decode(toy_handle, toy_prompts(5), 4, chunks=(2,))
    kept.select(torch.arange(20), torch.arange(4).repeat(5))
    kept.extend(2)
    assert plain.tokens_of() == kept.tokens_of()


def test_sampled_tokens_are_counted_once_each(toy_handle, ledger):
    rows = decode(toy_handle, toy_prompts(5), 4)
    lengths = sum(len(tokens) for tokens in rows.tokens_of())
    assert rows.policy_tokens().sum() == lengths + len(rows.prompts)  # a toy prompt is one token
    (usage,) = ledger.drain()
    assert (usage["tokens"], usage["prefill_tokens"]) == (lengths, 5)
