"""The two worlds of the unit tests: the enumerable toy, and a tiny random transformer with a tokenizer made here."""

import gc
import os
import shutil

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from matplotlib.figure import Figure
from scipy.stats import chisquare
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.models.toy import ToyPolicy
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.types import Prompt
from harness.evidence.figures import files
from harness.evidence.store import Run
from harness.methods import METHODS
from harness.tasks import TASKS

torch.set_num_threads(1)

TOY_SAMPLER = Sampler(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=4)


def pytest_collection_finish() -> None:
    """What imports have left is never garbage; looking through it at every collection took a tenth of the time."""
    gc.collect()
    gc.freeze()


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


PRICES = {"policy_token": 100.0, "value_call": {"iro": 7.0}, "value_token": {}, "reward_call": 5.0}  # FLOPs


@pytest.fixture
def planted(tmp_path) -> Run:
    """A stored run whose numbers are known: base, best-of-8 from a pool, and two picks of iro, on 60 prompts.

    The proxy is the gold plus noise and raw units are sd of base samples; iro's picks gain 1 (value) and 1.5 (reward).
    """
    rng, ids = np.random.default_rng(0), [f"p{i:02d}" for i in range(60)]
    gold = rng.normal(0, 1, (60, 8))
    proxy = gold + rng.normal(0, 0.5, (60, 8))
    best = proxy.argmax(1)
    answers = {  # gold, proxy, response, and tokens, values, reward calls
        ("base", 0, "first"): (gold[:, 0], proxy[:, 0], "a b c d e", (20, 0, 0)),
        ("best_of_n", 0, "reward"): (gold[range(60), best], proxy[range(60), best], "a b c d f", (90, 0, 8)),
        ("iro", 1, "value"): (gold[:, 1] + 1, proxy[:, 1] + 1.5, "a b c d a b c d", (90, 30, 0)),
        ("iro", 1, "reward"): (gold[:, 2] + 1.5, proxy[:, 2] + 2, "a b", (90, 30, 2)),
    }
    completions, scores = [], []
    for (method, iteration, pick), (golds, proxies, response, (tokens, values, calls)) in answers.items():
        for i, prompt in enumerate(ids):
            where = {"method": method, "iteration": iteration, "final_pick": pick, "prompt_id": prompt}
            work = {"policy_tokens": tokens, "value_tokens": 0, "value_calls": values, "reward_calls": calls}
            text = {"prompt": f"prompt {prompt}", "response": response, "n_tokens": len(response.split())}
            completions.append({**where, **text, **work})
            named = {"gold_reward": golds[i], "proxy_reward": proxies[i], "base_nll": 2.0}
            scores += [{**where, "metric": metric, "value": value} for metric, value in named.items()]
    counts = {"calls": 1, "seconds": 0.0, "computed": True}
    fit = {"method": "iro", "iteration": 1, "phase": "fit", "artifact": "rollouts", **counts}
    ledger = [
        {**fit, "role": "policy", "sequences": 10, "prefill_tokens": 1000, "tokens": 9000},
        {**fit, "role": "proxy", "sequences": 400, "prefill_tokens": 0, "tokens": 0},
    ]
    pool = [
        {"part": "test", "prompt_id": prompt, "row": n, "proxy_reward": proxy[i, n], "gold_reward": gold[i, n]}
        for i, prompt in enumerate(ids)
        for n in range(8)
    ]
    unit = {"mean": 0.0, "sd": 1.0}
    searches = {"best_of_n": {"n": 8, "tau": 0.0}, "iro": {"width": 2, "successors": 4}}
    settings = {"evaluate": {"slice": "test", "prompts": 60}, **searches}
    config = {"task": "toy", "model": "toy", "profile": "quick", "seed": 0, "methods": ["iro"], "settings": settings}
    about = {
        "config": config, "units": {"gold_reward": unit, "proxy_reward": unit}, "commit": "0" * 40, "dirty": False,
        "task_source": "planted", "task_facts": {}, "seconds": 60.0, "memory_gb": 1.0,
        "agreement": {"n": 480, "correlation": 0.9, "within_prompt_correlation": 0.9},
    }  # fmt: skip
    tables = [pl.DataFrame(rows) for rows in (completions, scores, ledger, [{"method": "iro"}], pool)]
    return Run(tmp_path / "toy-planted", about, *tables)


def planted_rows(run: Run, method: str, named: str) -> Run:
    """The run with the answers of a method once more, under another name."""
    tables = {
        name: pl.concat([table, table.filter(pl.col("method") == method).with_columns(method=pl.lit(named))])
        for name, table in (("completions", run.completions), ("scores", run.scores))
    }
    return replace(run, **tables)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A cache and an OUT of its own; methods and tasks that a test registers go with it."""
    for registry in (METHODS, TASKS):
        monkeypatch.setattr(registry, "_added", dict(registry._added))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unrendered(monkeypatch) -> None:
    """Figures of a run are built but not rendered, which takes longer than the toy run; their files are empty.

    All others are whole.
    """
    plain = files.save

    def build(fig: Figure, path: Path, *formats: Any, **notes: Any) -> list[Path]:
        if not (path.parent / "run.json").exists():
            return plain(fig, path, *formats, **notes)
        written = [path.with_name(f"{path.name}.{kind}") for kind in files.FORMATS]
        for file in written:
            file.write_bytes(b"")
        return written

    monkeypatch.setattr(files, "save", build)


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """A headless browser; one a process, which is all that its library takes."""
    if BROWSER is None:
        pytest.skip("no chromium on the path: pages are not looked at")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield started
        started.close()
