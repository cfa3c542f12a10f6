"""The trial at loading: what is not right is refused by name, before a run can rest on it."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.forward import Forward
from harness.core.models.handle import PolicyHandle
from harness.core.models.partial_forward import blocks_of
from harness.core.models.row_cache import RowCache
from harness.core.models.sampling import Sampler
from harness.core.models.shared_prefix import SharedPrefix
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.models.trial import LONGEST, tried
from harness.core.models.windows import smallest_window
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.methods import METHODS
from tests.conftest import tiny_prompts
from tests.core.models.architectures import make
from tests.core.models.tokenizers_made_here import word_level


def policy_of(model, name="tried") -> TransformersPolicy:
    return TransformersPolicy(model, word_level(), name, name)


@pytest.mark.parametrize("name", ["bart", "bert"])
def test_a_model_that_looks_ahead_is_refused_with_its_error(name):
    """Both were taken, and off by 0.6 to 1.2 nats."""
    with pytest.raises(UserError, match=rf"model '{name}' is refused: rows that .* up to \d.* nats off"):
        policy_of(make(name), name)


@pytest.mark.parametrize("name", ["rwkv", "openai-gpt"])
def test_a_model_without_a_cache_of_keys_is_refused_by_name(name):
    with pytest.raises(UserError, match=rf"model '{name}' is refused: its rows cannot be kept .* takes no cache"):
        policy_of(make(name), name)


def test_weights_that_give_no_finite_logits_are_refused():
    model = make("llama")
    model.model.norm.weight.data.fill_(torch.nan)
    with pytest.raises(UserError, match=r"no finite numbers.*--dtype float32"):
        policy_of(model)


def test_a_path_that_disagrees_is_not_taken(monkeypatch):
    """Positions off by one behind a shared prefix: the model takes transformers' own cache instead."""
    plain = SharedPrefix.inputs

    def late(self):
        inputs = plain(self)
        return {**inputs, "position_ids": inputs["position_ids"] + 1}

    monkeypatch.setattr(SharedPrefix, "inputs", late)
    model = make("llama")
    found = tried(Forward(model), "shared prefix", range(1, 97))
    assert not found.agrees and 0.01 < found.error < 10
    assert policy_of(model).path == "plain"


def test_a_model_that_takes_back_wrongly_does_everything_else(monkeypatch):
    monkeypatch.setattr(RowCache, "forget", lambda self, counts: None)
    policy = policy_of(make("mpt"))
    assert policy.path == "plain" and policy.capabilities == {"text", "logprobs", "states", "token level"}
    assert METHODS["cards"].needs(METHODS["cards"].Config()) - policy.capabilities == {"take back"}
    handle = PolicyHandle(policy, Sampler(max_new_tokens=4), Ledger())
    with pytest.raises(UserError, match="but no take back"):
        handle.decode_tokens(tiny_prompts(), 1, Streams(0), revocable=True)


@pytest.mark.parametrize("name", ["llama", "gpt_neo", "mamba"])
def test_a_trial_leaves_weights_settings_and_random_state_as_they_are(name):
    model = make(name)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    config, implementation = deepcopy(model.config.to_dict()), model.config._attn_implementation
    state = torch.random.get_rng_state()
    for path in ("shared prefix", "plain"):
        tried(Forward(model), path, range(1, 97))
    assert torch.equal(state, torch.random.get_rng_state())
    assert (model.config.to_dict(), model.config._attn_implementation) == (config, implementation)
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert not model.training and not any(m._forward_pre_hooks for m in model.modules())


def test_blocks_are_those_of_the_language_model():
    """The image encoder of a tiny Gemma 3 has as many blocks, and comes first."""
    model = make("gemma3")
    assert blocks_of(model, 4) is model.model.language_model.layers


@pytest.mark.parametrize(
    "name, window",
    [("llama", None), ("mistral", 8), ("phi3:long", 128), ("gemma2", 8), ("llama4_text", 8), ("gpt_neo", 8),
     ("recurrent_gemma", 8), ("mpt", None)],
)  # fmt: skip
def test_windows_are_what_the_config_names(name, window):
    assert smallest_window(make(name)) == window


def test_a_window_longer_than_prompt_and_answer_is_no_window():
    """Phi-3-128k and Mistral lost the fast path and CARDS for windows that no text of theirs reaches."""
    model = make("mistral:long")
    policy, ids = policy_of(model), tuple(range(1, 97))
    window = smallest_window(model)
    for prompt, room, kind in (
        (ids, window - 96, SharedPrefix),
        (ids, window - 95, RowCache),
        (ids[:2], 9, SharedPrefix),
    ):
        for revocable in (False, True):
            cache, _, _ = policy.prefill([prompt, ids[:3]], (), room, revocable)
            assert type(cache) is kind


@pytest.mark.parametrize("longest", [20, 60])
def test_rows_on_both_sides_of_a_window_are_right(longest):
    """A window of 40 tokens: with 20 new tokens, rows behind prompts of 20 do not meet it, those behind 60 do."""
    model = make("mistral:long")
    model.config.sliding_window = 40
    for block in model.model.layers:
        block.self_attn.sliding_window = 40
    policy, ledger = policy_of(model), Ledger()
    prompts = [Prompt("a", text="abcdefghij" * (longest // 10)), Prompt("b", text="no")]
    with ledger.phase("generate"), torch.inference_mode():
        rows = PolicyHandle(policy, Sampler(top_k=0, max_new_tokens=20), ledger).decode_tokens(
            prompts, 2, Streams(0), revocable=True
        )
        for back in (3, 0, 5):
            rows.extend(6)
            counts = torch.full((4,), back).minimum(torch.tensor([len(t) for t in rows.tokens_of()]))
            exact = [plain(policy, c.prompt, c.tokens[: len(c.tokens) - back]) for c in rows.completions()]
            rows.take_back(counts, torch.stack(exact))
            completions = rows.completions()
            for row, logits in zip(*rows.next_logits(), strict=True):
                if completions[row].stop is None:
                    assert (logits - plain(policy, completions[row].prompt, completions[row].tokens)).abs().max() < 1e-4


def plain(policy, prompt, tokens):
    return policy.model(input_ids=torch.tensor([[*policy.encode(prompt), *tokens]]), use_cache=False).logits[0, -1]


def test_what_a_row_keeps_is_counted_whatever_its_blocks_keep():
    """A state has its size once a row, keys and values theirs for each token."""
    mamba, lfm2, llama = (policy_of(make(name)) for name in ("mamba", "lfm2", "llama"))
    assert mamba.row_bytes(10, 100, 4) == mamba.row_bytes(10, 10, 4) > 3 * 4 * 97
    grown = [p.row_bytes(10, 20, 4) - p.row_bytes(10, 10, 4) for p in (lfm2, llama)]
    assert grown[0] * 2 == grown[1]  # every other block of this lfm2 has attention, with the heads of this llama
    assert lfm2.row_bytes(10, 10, 4) > 2 * grown[0]


def test_the_trial_is_no_longer_than_it_says(monkeypatch):
    """A window of LONGEST tokens must not show in it."""
    lengths, extend = [], SharedPrefix.extend

    def counted(self):
        extend(self)
        lengths.append(int(self.lengths.max()) + self.blocks[0].length + 1)

    monkeypatch.setattr(SharedPrefix, "extend", counted)
    assert tried(Forward(make("llama")), "shared prefix", range(1, 97)).take_back
    assert len(lengths) == 8 and max(lengths) <= LONGEST


def test_random_weights_as_they_are_initialised_show_a_fault_too(monkeypatch):
    """Logits of an untrained model hardly differ; what counts is the error over their spread."""
    model = make("bert")
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.02)
    with pytest.raises(UserError, match="is refused"):
        policy_of(model)


def test_half_precision_is_judged_by_its_own_rounding():
    for name in ("llama", "olmoe", "gemma2"):
        policy = policy_of(make(name).to(torch.bfloat16))
        assert {"states", "take back"} <= policy.capabilities
    with pytest.raises(UserError, match="is refused"):
        policy_of(make("bert").to(torch.bfloat16))
    assert np.isfinite(policy.row_bytes(4, 4, 1))
