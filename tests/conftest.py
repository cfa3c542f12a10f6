"""The two worlds of the unit tests: the enumerable toy, and a tiny random transformer with a tokenizer made here."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.core.handle import PolicyHandle
from harness.core.ledger import Ledger
from harness.core.sampling import Sampler
from harness.core.toy import ToyPolicy
from harness.core.transformers_policy import TransformersPolicy
from harness.core.types import Prompt

torch.set_num_threads(1)

TOY_SAMPLER = Sampler(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=4)


@pytest.fixture(scope="session")
def toy() -> ToyPolicy:
    return ToyPolicy(letters=3, length=4, topics=2, seed=0)


@pytest.fixture
def ledger() -> Ledger:
    """A ledger with an open phase."""
    made = Ledger()
    with made.phase("generate"):
        yield made


@pytest.fixture
def toy_handle(toy, ledger) -> PolicyHandle:
    return PolicyHandle(toy, TOY_SAMPLER, ledger)


def toy_prompts(n: int, topic: int | None = None) -> list[Prompt]:
    return [Prompt(f"p{i:04d}", text=f"topic {i % 2 if topic is None else topic}") for i in range(n)]


@pytest.fixture(scope="session")
def tiny() -> TransformersPolicy:
    """Four blocks, 97 tokens, random weights; pad and end-of-sequence are the same token, and 5 ends texts as well."""
    letters = "abcdefghijklmnopqrstuvwxyz .,!?"
    vocabulary = {"<eos>": 0} | {c: i + 1 for i, c in enumerate(letters)}
    vocabulary |= {f"<{i}>": i for i in range(len(vocabulary), 97)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<96>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}.{{ m.content }}{% endfor %}"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [0, 5]
    untouched = deepcopy(model)
    return TransformersPolicy(model, tokenizer, "tiny", "tiny", lambda name: (deepcopy(untouched), tokenizer, name))


TINY_SAMPLER = Sampler(temperature=1.0, top_k=20, top_p=0.95, max_new_tokens=12)


@pytest.fixture
def tiny_handle(tiny, ledger) -> PolicyHandle:
    return PolicyHandle(tiny, TINY_SAMPLER, ledger)


def tiny_prompts() -> list[Prompt]:
    """Prompts of mixed lengths."""
    return [Prompt(f"q{i}", text=text) for i, text in enumerate(["a", "hello there", "what is it?", "zz top. " * 4])]


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    """p-value of Pearson's test; cells that expect fewer than 5 are pooled."""
    rare = expected < 5
    expected = expected * observed.sum() / expected.sum()  # rounding aside they agree already
    pooled = [np.append(x[~rare], x[rare].sum()) if rare.any() else x for x in (observed, expected)]
    return float(chisquare(*pooled).pvalue)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A cache and an OUT of its own."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
