"""What only a CUDA device shows: as here, in kernels that no stand-in has. `pytest -m gpu` where there is one."""

import pytest
import torch

from tests.core.models.architectures import ARCHITECTURES, make
from tests.core.models.examined import examined
from tests.core.models.test_architectures import TOLERANCE
from tests.core.models.tokenizers_made_here import word_level
from tests.core.test_devices import METHODS, model, require_same, run  # noqa: F401  # a fixture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_is_right_or_refused_there_as_here(name):
    here, there = (examined(make(name).to(device), word_level(), name) for device in ("cpu", "cuda"))
    assert max(there.errors.values(), default=0.0) < TOLERANCE.get(name, 1e-4), there.errors
    assert (there.path, there.lacks, set(there.errors)) == (here.path, here.lacks, set(here.errors))


def test_a_whole_run_is_that_of_the_cpu(model, tmp_path, monkeypatch, unrendered):  # noqa: F811
    """Every method on the same numbers: streams know no device."""
    here, there = (
        run(model, tmp_path / device, monkeypatch, "--device", device, "--dtype", "float32")
        for device in ("cpu", "cuda")
    )
    require_same(here, there)


def test_a_whole_run_in_the_precision_that_the_device_chooses(model, tmp_path, monkeypatch, unrendered):  # noqa: F811
    tables = run(model, tmp_path, monkeypatch, "--device", "cuda")
    assert tables["scores"]["value"].is_finite().all() and set(tables["completions"]["method"]) >= set(METHODS)
