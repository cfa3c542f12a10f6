"""A whole run on a device that refuses tensors of the CPU: the same answers, values and tables as on the CPU.

A run of IRO crashed on CUDA after all its work, when calibration fed the value head, which a search had moved to the
device, with arrays of the CPU. No GPU is needed to see that.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from harness import cli
from harness.core.ledger import Ledger
from harness.core.models import loading
from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.streams import Streams
from harness.core.values.log_ratio import LogRatio
from harness.evidence.figures import files
from tests import letters_task
from tests.conftest import tiny_prompts
from tests.core.models.architectures import make
from tests.core.models.tokenizers_made_here import byte_level, word_level
from tests.stand_in_device import Elsewhere, StandIn, moved

pytestmark = pytest.mark.slow

DEVICES = ["cuda", "mps"]
METHODS = {
    "base": (), "best_of_n": ("n=4",), "args": ("candidates=3",), "cards": ("entropy=0.5", "attempts=4", "shortest=2"),
    "iro": ("width=2", "successors=2", "chunk=4", "iterations=2", "select=resample", "value.epochs=2"),
    "controlled_decoding": ("candidates=3", "objective=q", "q.prompts=5", "q.sweeps=4", "value.epochs=2"),
}  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
def test_the_stand_in_refuses_what_a_device_refuses(device):
    with StandIn(device):
        there = torch.zeros(3, device=device)
        assert there.device.type == device and isinstance(there, Elsewhere)
        for mixed in (
            lambda: there + torch.ones(3), lambda: torch.cat([there, torch.ones(1)]), lambda: there[torch.tensor([0])],
            lambda: torch.nn.functional.linear(there, torch.ones(2, 3)), lambda: torch.ones(3).add_(there),
            lambda: there.__setitem__(torch.tensor([True, False, True]), 1.0),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match="of the device and of the CPU"):
                mixed()
        for crossing in (there.numpy, lambda: np.asarray(there)):
            with pytest.raises(TypeError, match=r"use Tensor\.cpu"):
                crossing()
        if device == "mps":
            with pytest.raises(TypeError, match="float64"):
                there.double()
        assert (there + torch.tensor(2.0)).tolist() == [2.0] * 3  # numbers go anywhere
        assert torch.equal(there.cpu() + torch.ones(3), torch.ones(3))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    make("llama").save_pretrained(folder)
    word_level().save_pretrained(folder)
    return folder


def run(model: Path, out: Path, monkeypatch, *options: str) -> dict[str, pl.DataFrame]:
    monkeypatch.setenv("HARNESS_CACHE", str(out / "cache"))
    settings = [f"{name}.{setting}" for name, given in METHODS.items() for setting in given]
    settings += [
        "fit.prompts=10",
        "fit.samples=4",
        "fit.layers=[1,2]",
        "evaluate.prompts=8",
        "sampler.max_new_tokens=12",
    ]
    command = [
        "run",
        "--task",
        f"{letters_task.__file__}:Letters",
        "--model",
        str(model),
        "--method",
        ",".join(METHODS),
    ]
    command += options
    assert cli.main([*command, "--out", str(out), "--workers", "1", *(x for s in settings for x in ("--set", s))]) == 0
    (folder,) = (out / "runs").iterdir()
    return {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")}


def require_same(here: dict[str, pl.DataFrame], there: dict[str, pl.DataFrame]) -> None:
    """The same answers of every method, and values, fits and scores but for their last digits."""
    keys = ["method", "iteration", "final_pick", "prompt_id"]
    mine, others = (tables["completions"].sort(keys).select(*keys, "response") for tables in (here, there))
    assert mine.equals(others) and len(mine) > 4 * len(METHODS)
    for table, column in (("values", "bias"), ("fits", "r2"), ("scores", "value")):
        a, b = here[table][column].to_numpy(), there[table][column].to_numpy()
        assert np.allclose(a, b, atol=1e-3, equal_nan=True), table


@pytest.fixture(scope="module")
def here(model, tmp_path_factory) -> dict[str, pl.DataFrame]:
    """The tables of the run on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "save", lambda *_, **__: [])
        return run(model, tmp_path_factory.mktemp("cpu"), patch)


@pytest.mark.parametrize("device", ["mps", pytest.param("cuda", marks=pytest.mark.slow)])  # mps refuses more
def test_a_whole_run_on_a_device_of_its_own_is_that_of_the_cpu(model, here, tmp_path, monkeypatch, unrendered, device):
    """Sampling, fits, searches, single tokens weighed and taken back, bootstrapping, predictions and calibration."""
    monkeypatch.setattr(loading, "place", lambda *_: (torch.device(device), torch.float32))
    with StandIn(device):
        there = run(model, tmp_path / "there", monkeypatch)
    assert set(here) == set(there) >= {"completions", "scores", "fits", "values"}
    require_same(here, there)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("guides", ["same tokens", "other tokens"])
def test_guides_of_weak_to_strong_read_on_the_device(device, guides):
    tokenizer = word_level() if guides == "same tokens" else byte_level()
    values = []
    for place in ("cpu", device):
        with StandIn(device):
            models = [make("llama"), make("gpt2"), make("gptj")]
            if guides == "other tokens":
                models[1:] = [_wider(name) for name in ("gpt2", "gptj")]
            if place != "cpu":
                models = [moved(m, device) for m in models]
            ledger = Ledger()
            policy, tuned, untuned = (
                PolicyHandle(TransformersPolicy(m, t, "m", "m"), Sampler(top_k=0, max_new_tokens=9), ledger)
                for m, t in zip(models, (word_level(), tokenizer, tokenizer), strict=True)
            )
            with ledger.phase("generate"):
                rows = policy.decode(tiny_prompts(), 3, Streams(0))
                reader = LogRatio.beside(policy, tuned, untuned).start(rows)
                for _ in range(3):
                    total = reader.advance(rows.extend(3))
                    index = torch.tensor([3 * p + j for p in range(4) for j in (1, 1, 2)], device=rows.owner.device)
                    rows.select(index, torch.arange(3, device=rows.owner.device).repeat(4))
                    reader.reorder(index)
            assert total.device.type == place
            values.append(total.cpu().numpy())
    assert np.allclose(*values, atol=1e-3) and np.abs(values[0]).max() > 0.1


def _wider(name: str):
    model = make(name)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model.resize_token_embeddings(len(byte_level()))
    return model
