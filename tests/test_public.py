"""What `import harness` offers: these names and no others, each imported when it is first used."""

import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import harness

PUBLIC = [
    "Answer", "Completion", "Generator", "Prompt", "Scorer", "Task", "UserError", "__version__", "align", "load",
    "load_run", "run",
]  # fmt: skip
PARAMETERS = {
    "align": "model prompts reward method out seed device dtype workers key_variable replace_out settings",
    "run": "method task out config fresh options",
    "load": "source method iteration reward model device out key_variable",
    "load_run": "name out",
}


def test_the_public_names_are_these():
    assert sorted(harness.__all__) == dir(harness) == PUBLIC
    assert harness.__version__ == version("iro-harness")
    for name in PUBLIC:
        assert vars(harness).get(name, getattr(harness, name)) is not None
    assert {name: " ".join(inspect.signature(getattr(harness, name)).parameters) for name in PARAMETERS} == PARAMETERS
    with pytest.raises(AttributeError, match="no attribute 'aline'"):
        harness.aline  # noqa: B018  # the access is what is tested


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import harness; harness.__version__, dir(harness), harness.Prompt; "
        "assert not {'torch', 'polars', 'transformers'} & set(sys.modules); harness.load_run; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
