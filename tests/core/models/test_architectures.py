"""Every architecture is either right or refused by name; the page that says which is kept up to date."""

import pytest
import transformers

from tests.core.models.architectures import ARCHITECTURES, make
from tests.core.models.architectures_page import PAGE, row
from tests.core.models.examined import examined
from tests.core.models.tokenizers_made_here import word_level

FEW = ("llama", "gpt_neo", "mpt", "gemma3", "mistral:long", "mamba", "lfm2", "bart", "rwkv")  # the rest takes a minute
TOLERANCE = {  # nats, where more than 1e-4
    "zamba2": 5e-3,  # a step of transformers' leaves out the least time step, which its passes over texts have
}


def stored() -> dict[str, str]:
    """The page's rows by name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


def without_numbers(line: str) -> str:
    """Errors of refused models differ by machine."""
    return " ".join(word for word in line.split() if not word[0].isdigit())


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES]
)
def test_a_model_is_right_or_refused_as_the_page_says(name):
    found = examined(make(name), word_level(), name)
    assert max(found.errors.values(), default=0.0) < TOLERANCE.get(name, 1e-4), found.errors
    if transformers.__version__ in PAGE.read_text(encoding="utf-8"):
        assert without_numbers(row(name, found)) == without_numbers(stored()[name])


def test_the_page_has_every_architecture_and_most_are_taken():
    rows = stored()
    assert set(ARCHITECTURES) <= set(rows) and len(ARCHITECTURES) >= 60
    assert sum("| refused |" in rows[name] for name in ARCHITECTURES) < 10
