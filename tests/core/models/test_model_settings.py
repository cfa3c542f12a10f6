"""Settings of loading are passed through to transformers, and a contradiction is one error."""

import numpy as np
import pytest
import torch
import transformers.utils.hub as transformers_hub
from huggingface_hub import constants as hub
from pydantic import ValidationError

from harness.core.as_before import hashed
from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.models.loading import load_policy
from harness.core.models.model_settings import AS_BEFORE, ModelSettings, loading_options
from harness.core.models.sampling import Sampler
from harness.core.streams import Streams
from harness.core.types import Message, Prompt
from tests.conftest import tiny_prompts
from tests.core.models.architectures import make
from tests.core.models.test_loading import into_hub
from tests.core.models.tokenizers_made_here import byte_level, word_level


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    make("llama").save_pretrained(folder)
    word_level().save_pretrained(folder)
    return folder


def load(folder, tmp_path, **settings):
    return load_policy(str(folder), "cpu", "float32", tmp_path, ModelSettings(**settings))


def sampled_logprobs(policy, completions):
    return np.concatenate(policy.logprobs(completions))


def test_the_default_settings_are_those_of_before_and_enter_no_hash():
    assert hashed(AS_BEFORE) == {} and loading_options(AS_BEFORE, "x", False, torch.device("cpu")) == {}
    assert hashed(ModelSettings(system_prompt="hi", chat_template_kwargs={"a": 1})) == {
        "system_prompt": "hi", "chat_template_kwargs": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "settings", [{"attn_implementation": "eager"}, {"attn_implementation": "sdpa"}, {"device_map": "cpu"}]
)
def test_another_way_to_compute_gives_the_same_numbers(folder, tmp_path, ledger, settings):
    plain, other = load(folder, tmp_path), load(folder, tmp_path, **settings)
    if attention := settings.get("attn_implementation"):
        assert other.model.config._attn_implementation == attention
    assert other.path == "shared prefix" and other.capabilities == plain.capabilities
    written = []
    for policy in (plain, other):
        rows = PolicyHandle(policy, Sampler(top_k=0, max_new_tokens=12), ledger).decode(tiny_prompts(), 3, Streams(0))
        rows.extend(12)
        written.append(rows.completions())
    assert [c.tokens for c in written[0]] == [c.tokens for c in written[1]]
    assert np.abs(sampled_logprobs(plain, written[0]) - sampled_logprobs(other, written[0])).max() < 1e-4


def test_an_unknown_attention_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match="'eager', 'sdpa'"):
        ModelSettings(attn_implementation="quick")


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"revision": "v2"}, "only hub models have revisions"),
        ({"tp_plan": "auto", "device_map": "auto"}, "in one way or in the other"),
        ({"tp_plan": "auto"}, "torchrun --nproc-per-node"),
        ({"quantization_config": {"load_in_4bit": True}}, "names no quant_method"),
        ({"quantization_config": {"quant_method": "none such"}}, "could not be loaded: Unknown quantization"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
        ({"attn_implementation": "flash_attention_2"}, "[fF]lash"),
        ({"device_map": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_loaded_so_is_one_error(folder, tmp_path, settings, says):
    with pytest.raises(UserError, match=says):
        load(folder, tmp_path, **settings)


def test_a_revision_names_another_model(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(transformers_hub, "is_offline_mode", lambda: True)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--org--name"
    for letter, name in (("c", "llama"), ("d", "gpt2")):
        plain = tmp_path / letter
        make(name).save_pretrained(plain)
        word_level().save_pretrained(plain)
        into_hub(plain, repository, letter * 40)
    (repository / "refs" / "old").write_text("c" * 40)
    for revision, commit, kind in (("", "d", "gpt2"), ("old", "c", "llama"), ("c" * 40, "c", "llama")):
        policy = load_policy("org/name", "cpu", "float32", tmp_path, ModelSettings(revision=revision))
        assert policy.contents == {"revision": commit * 40} and policy.model.config.model_type == kind
        assert policy.untouched_model()[0].config.model_type == kind
    with pytest.raises(UserError, match="could not be loaded"):
        load_policy("org/name", "cpu", "float32", tmp_path, ModelSettings(revision="none such"))


def test_what_is_said_beside_the_messages_reaches_the_prompt(tmp_path):
    tokenizer = byte_level()
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ closing }}"
    model = make("llama")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "chat")
    tokenizer.save_pretrained(tmp_path / "chat")
    settings = {"system_prompt": "be short", "chat_template_kwargs": {"closing": "then"}}
    policy = load(tmp_path / "chat", tmp_path, **settings)
    prompt = Prompt("a", messages=(Message("user", "hi"),))
    for one in (policy, policy.other(str(tmp_path / "chat")), policy.with_model(policy.model, "copy")):
        assert one.text(one.encode(prompt)) == "<system>be short<user>hithen"
