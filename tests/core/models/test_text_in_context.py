"""An answer's text is what it adds to the prompt's, whatever a decoder does with the beginning of a text."""

import numpy as np
import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from harness.core.files import cache_folder
from harness.core.models.handle import PolicyHandle
from harness.core.models.loading import load_policy
from harness.core.models.sampling import Sampler
from harness.core.models.text_in_context import TextBehind, head_of, text_behind_all
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.streams import Streams
from harness.core.types import Prompt
from tests.core.models.tokenizers_made_here import WORDS, byte_level, sentencepiece_like, word_level, word_pieces

TOKENIZERS = {
    "byte level": byte_level(),
    "byte level, special tokens": byte_level(bos="<bos>", add_bos=True),
    "sentencepiece": sentencepiece_like(),
    "word level": word_level(),
    "word pieces": word_pieces(),
}


def policy_of(tokenizer) -> TransformersPolicy:
    config = LlamaConfig(
        vocab_size=max(len(tokenizer), 97), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    return TransformersPolicy(LlamaForCausalLM(config), tokenizer, "made here", "made here")


@pytest.fixture(scope="module", params=TOKENIZERS)
def policy(request) -> TransformersPolicy:
    return policy_of(TOKENIZERS[request.param])


@pytest.fixture(scope="module")
def sentencepiece() -> TransformersPolicy:
    return policy_of(TOKENIZERS["sentencepiece"])


def test_the_blank_before_an_answer_is_part_of_it(sentencepiece):
    """Gold and proxy read "the film wasgood"."""
    prompt = sentencepiece.encode(Prompt("a", text="the film was"))
    assert sentencepiece.text_behind(prompt)(sentencepiece._tokens("good and bad")) == " good and bad"


def test_rows_hand_out_texts_in_context(sentencepiece, ledger):
    prompts = [Prompt("a", text="the film was good"), Prompt("b", text="then we")]
    rows = PolicyHandle(sentencepiece, Sampler(top_k=0, max_new_tokens=12), ledger).decode_tokens(
        prompts, 8, Streams(0)
    )
    rows.extend(8)
    begins = set()
    for row, completion in enumerate(rows.completions()):
        prompt = sentencepiece.encode(completion.prompt)
        whole = sentencepiece.text([*prompt, *completion.tokens])
        assert sentencepiece.text(prompt) + completion.text == whole
        begins.add(completion.text[:1])
        if completion.stop is None:
            longer = rows.continued(row, 300)
            assert sentencepiece.text(prompt) + longer.text == sentencepiece.text([*prompt, *longer.tokens])
    assert " " in begins and len(begins) > 1


def texts(rng, most):
    pieces = [*WORDS, "😀", "é", "日本", "\n", "  ", "x", ".", "👩‍👩‍👧"]
    return "".join(
        pieces[i] + (" " if rng.random() < 0.6 else "") for i in rng.integers(len(pieces), size=rng.integers(1, most))
    )


def test_a_short_tail_of_the_prompt_gives_the_text_of_the_whole_prompt(policy):
    check_tails(policy)


def check_tails(policy):
    """Texts of words, blanks and characters of several bytes, cut anywhere, and random tokens behind them."""
    rng, tokenizer, cut = np.random.default_rng(0), policy.tokenizer, 0
    for _ in range(400):
        ids = policy.encode(Prompt("t", text=texts(rng, 40)))
        prompt = ids[: rng.integers(1, len(ids) + 1)]
        behind = TextBehind(policy.text, prompt)
        cut += len(behind._tail) < len(prompt)
        rest = ids[len(prompt) :][: rng.integers(0, 12)]
        drawn = tuple(rng.integers(len(tokenizer), size=rng.integers(0, 12)).tolist())
        for tokens in (rest, drawn, (*rest, *drawn), (), rest[:1]):
            assert behind(tokens) == text_behind_all(policy.text, prompt, tokens), (prompt, tokens)
    assert cut > 100  # the tail was shorter than the prompt


def test_a_character_that_an_answer_completes_is_the_answers():
    for tokenizer in (byte_level(), sentencepiece_like()):
        policy = policy_of(tokenizer)
        ids = policy.encode(Prompt("t", text="it was 😀 then"))
        first = next(n for n in range(len(ids)) if "\ufffd" in policy.text(ids[: n + 1])) + 1
        for n in range(first, first + 3):
            assert "😀" not in policy.text(ids[:n])
            assert policy.text_behind(ids[:n])(ids[n:]) == "😀 then"


def test_an_unfinished_character_spoils_the_answer_alone(sentencepiece):
    """Bytes in a row are decoded together: one that is wrong made the prompt's characters unreadable too."""
    prompt = sentencepiece.encode(Prompt("t", text="so 😀😀"))
    (byte,) = sentencepiece.tokenizer.convert_tokens_to_ids(["<0xF0>"])
    assert sentencepiece.text_behind(prompt)((byte,)) == "\ufffd"


def test_special_tokens_stay_out(policy):
    prompt = policy.encode(Prompt("t", text="the film was good and i liked it then we saw"))
    words = policy._tokens("a story")
    eos = policy.tokenizer.eos_token_id
    assert policy.text_behind(prompt)((*words, eos)) == policy.text_behind(prompt)(words)


def test_a_prompt_is_never_cut_inside_a_character(policy):
    text = "good 😀 bad 日本 é"
    whole = policy.text(policy._tokens(text))
    heads = [policy.head_of(text, n) for n in range(1, 30)]
    assert not any("\ufffd" in head for head in heads)
    assert all(whole.startswith(head) for head in heads) and heads[-1] == whole
    assert [len(head) for head in heads] == sorted(len(head) for head in heads)


def test_a_text_may_hold_the_sign_for_unreadable_bytes():
    policy = policy_of(byte_level())
    text = "bad \ufffd good"
    assert head_of(text, 20, policy._tokens, policy.text) == text


@pytest.mark.parametrize("name", ["byte level", "sentencepiece"])
def test_a_guide_with_another_tokenizer_reads_the_same_text(name):
    """A tokenizer that puts a blank before every text put a second one before " good"."""
    policy = policy_of(TOKENIZERS[name])
    behind = policy.text_behind(policy.encode(Prompt("t", text="the film was")))
    for text in (" good and bad", "ly then", " ", "  two", "\nwe", ". a", "😀", "", " the"):
        assert behind(policy.tokens_of(text)) == text


@pytest.mark.slow
def test_the_tail_is_right_for_the_embedded_model():
    policy = load_policy("smollm2-135m-instruct", "cpu", "float32", cache_folder())
    check_tails(policy)
    rng = np.random.default_rng(1)
    for _ in range(200):  # a byte-level decoder adds nothing and strips nothing
        prompt, tokens = policy._tokens(texts(rng, 20)), policy._tokens(" " + texts(rng, 20))
        assert policy.text_behind(prompt)(tokens) == policy.text(tokens)
