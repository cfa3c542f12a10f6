"""A prompt's tokens are what the model should read, or an error that says which prompt cannot be read and why."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, MambaConfig, MptConfig

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.rendering import Rendering, render
from harness.core.models.sampling import Sampler
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.models.windows import longest_text
from harness.core.streams import Streams
from harness.core.types import Completion, Message, Prompt
from tests.core.models.tokenizers_made_here import byte_level, sentencepiece_like, word_level

NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ closing }}"
)
SYSTEM = (Message("system", "be nice"), Message("user", "hi"))


def rendering(tokenizer, **how) -> Rendering:
    return Rendering("small", tokenizer, frozenset({tokenizer.eos_token_id}), **how)


def chatty(template):
    tokenizer = byte_level()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("text", ["the film", "the film<eos>", "<eos>", "a<eos><eos>"])
def test_an_end_that_the_tokenizer_adds_is_left_out(text):
    """The model went on after the end of a text. A begin-of-text token stays, and an end that the text itself has."""
    tokenizer = byte_level(bos="<bos>", add_bos=True, add_eos=True)
    ids = render(Prompt("a", text=text), rendering(tokenizer))
    own = tuple(tokenizer(text, add_special_tokens=False).input_ids)
    assert ids == (tokenizer.bos_token_id, *own)


def test_a_tokenizer_without_such_habits_changes_nothing():
    for tokenizer in (byte_level(), sentencepiece_like()):
        assert render(Prompt("a", text="the film"), rendering(tokenizer)) == tuple(tokenizer("the film").input_ids)


@pytest.mark.parametrize("tokenizer", [byte_level(), byte_level(bos="<bos>", add_bos=True), sentencepiece_like()])
def test_a_prompt_without_tokens_of_its_own_is_refused(tokenizer):
    with pytest.raises(UserError, match="prompt 'none' has no tokens"):
        render(Prompt("none", text=""), rendering(tokenizer))


def test_a_template_that_refuses_the_system_role_is_one_error():
    """jinja2.exceptions.TemplateError, of a template that says so itself (Gemma, Mistral)."""
    with pytest.raises(UserError, match=r"model 'small' refuses prompt 'a' \(roles: system, user\): System role not"):
        render(Prompt("a", messages=SYSTEM), rendering(chatty(NO_SYSTEM)))
    assert render(Prompt("a", messages=SYSTEM[1:]), rendering(chatty(NO_SYSTEM)))


@pytest.mark.parametrize("template", ["{{ messages[5].content }}", "{% if %}", "{{ 1 + messages[0].content }}"])
def test_a_template_that_fails_is_one_error(template):
    with pytest.raises(UserError, match="refuses prompt 'a'"):
        render(Prompt("a", messages=SYSTEM), rendering(chatty(template)))


def test_a_missing_template_is_one_error():
    with pytest.raises(UserError, match="model 'small' has no chat template, and prompt 'a'"):
        render(Prompt("a", messages=SYSTEM), rendering(byte_level()))


def test_a_system_prompt_stands_before_messages_that_have_none():
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    tokenizer, how = chatty(template), {"system_prompt": "be short"}
    said = [render(Prompt("a", messages=m), rendering(tokenizer, **how)) for m in (SYSTEM, SYSTEM[1:])]
    assert [tokenizer.decode(ids) for ids in said] == ["<system>be nice<user>hi", "<system>be short<user>hi"]
    with pytest.raises(UserError, match="prompt 'a' is a plain text, and a system prompt goes with messages only"):
        render(Prompt("a", text="hi"), rendering(tokenizer, **how))


def test_template_settings_reach_the_template():
    tokenizer = chatty(NO_SYSTEM)
    ids = render(Prompt("a", messages=SYSTEM[1:]), rendering(tokenizer, template_kwargs={"closing": "then"}))
    assert tokenizer.decode(ids) == "<user>hithen"


def short_gpt2() -> TransformersPolicy:
    """Learned positions for 24 tokens: one more was a raw IndexError."""
    config = GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=2, n_positions=24, bos_token_id=0, eos_token_id=0)
    return TransformersPolicy(GPT2LMHeadModel(config), word_level(), "short", "short")


def test_a_prompt_that_leaves_no_room_is_named_with_its_lengths():
    policy, ledger = short_gpt2(), Ledger()
    handle = PolicyHandle(policy, Sampler(top_k=0, max_new_tokens=10), ledger)
    fits, long = Prompt("fits", text="a" * 14), Prompt("long", text="a" * 15)
    with ledger.phase("generate"):
        rows = handle.decode([fits], 4, Streams(0), layers=(1, 2))
        rows.extend(10)
        assert max(len(c.tokens) for c in rows.completions()) == 10
        ledger.drain()
        with pytest.raises(
            UserError, match="prompt 'long' has 15 tokens, and 10 are to follow, but model 'short' reads at most 24"
        ):
            handle.decode([fits, long], 1, Streams(0))
        assert ledger.drain() == []  # before any work


def test_longer_texts_are_refused_wherever_they_are_read():
    policy = short_gpt2()
    text = Completion(Prompt("long", text="a" * 15), (1,) * 10, "", "length")
    with pytest.raises(UserError, match="prompt 'long' has 15 tokens"):
        policy.logprobs([text])
    scorer = policy.scorer([(1,) * 15, (1,) * 3])
    with torch.inference_mode():
        scorer.advance(torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.bool))
        with pytest.raises(UserError, match="a text of 25 tokens is longer than the 24"):
            scorer.advance(torch.ones(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.bool))


@pytest.mark.parametrize(
    "config, most",
    [(LlamaConfig(max_position_embeddings=4096), 4096), (GPT2Config(n_positions=1024), 1024), (MptConfig(), 2048),
     (MambaConfig(), None)],
)  # fmt: skip
def test_the_longest_text_is_what_the_config_names(config, most):
    assert longest_text(config) == most
