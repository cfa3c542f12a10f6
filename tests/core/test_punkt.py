"""NLTK's English sentence splitter, made from a wheel."""

import json
import subprocess
import sys

import nltk
import pytest

from harness.core import punkt
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.punkt import instead_of_download, offer_punkt, punkt_folder

LITERALS = """LANGUAGE = 'english'
ABBREV_TYPES = frozenset(('dr', 'e.g'))
SENT_STARTERS = frozenset(('but',))
COLLOCATIONS = frozenset((('j', 'aron'),))
ORTHO_CONTEXT = {'san': 12}
"""


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Writes an unpacked wheel with these literals, and takes it for the pinned one."""

    def unpacked(source: str) -> None:
        folder = tmp_path / "wheel" / "punkt" / "data"
        folder.mkdir(parents=True)
        (folder / "english.py").write_text(source)
        monkeypatch.setattr(punkt, "fetch", lambda name, cache: tmp_path / "wheel")
        monkeypatch.setattr(nltk.data, "path", [])

    return unpacked


def test_other_parameters_than_nltks_are_refused(wheel, tmp_path):
    wheel(LITERALS)
    with pytest.raises(UserError, match=r"holds another abbrev_types\.txt"):
        punkt_folder(tmp_path)
    assert not (tmp_path / "nltk").exists() or not list((tmp_path / "nltk").iterdir())


def test_the_wheel_is_read_and_never_run(wheel, tmp_path):
    """A table that is no literal: reading it must not call it."""
    marker = tmp_path / "was-run"
    wheel(LITERALS.replace("{'san': 12}", f"open({str(marker)!r}, 'w').close()"))
    with pytest.raises(UserError, match="no tables that can be read"):
        punkt_folder(tmp_path)
    assert not marker.exists()


def test_what_would_download_it_is_offered_it_and_other_downloads_are_nltks(tmp_path, monkeypatch):
    """`harness lm-eval run --tasks ifeval` failed after its last answer, where NLTK's own place was out of reach."""
    asked = []
    monkeypatch.setattr(nltk, "download", lambda name, **named: asked.append((name, named)))
    monkeypatch.setattr(punkt, "offer_punkt", lambda cache: asked.append(cache))
    before = nltk.download
    with instead_of_download(tmp_path):
        assert nltk.download("punkt_tab", quiet=True)
        nltk.download("words", quiet=True)
    assert asked == [tmp_path, ("words", {"quiet": True})] and nltk.download is before


@pytest.mark.slow
def test_nltk_splits_as_with_its_own_download():
    """Examples of NLTK's documentation and tests, and abbreviations that only the English parameters know."""
    offer_punkt(cache_folder())
    said = {
        "Good muffins cost $3.88\nin New York.  Please buy me\ntwo of them.\n\nThanks.": 3,
        "Mr. Smith of J. Aron & Co. paid $1.50 in Jan. 1990. He left.": 2,
        "The U.S. government met on Tues. in Wash. by night. It ended.": 2,
        "I met Prof. Lee and Sen. Day. However, they left at 5 p.m. and slept.": 2,
    }
    assert {text: len(nltk.tokenize.sent_tokenize(text)) for text in said} == said
    assert nltk.tokenize.word_tokenize("Good muffins cost $3.88. Thanks.") == [
        "Good", "muffins", "cost", "$", "3.88", ".", "Thanks", ".",
    ]  # fmt: skip


@pytest.mark.slow
def test_ifeval_of_lm_eval_downloads_nothing():
    """It looks for punkt_tab when it is imported, and would fetch it; here fetching is an error."""
    code = (
        "import sys, json, nltk\n"
        "from harness.core.files import cache_folder\n"
        "from harness.core.punkt import offer_punkt\n"
        "def refuse(*a, **k): raise SystemExit('downloads')\n"
        "nltk.download = refuse; nltk.data.path.clear()\n"
        "offer_punkt(cache_folder())\n"
        "from lm_eval.tasks.ifeval import instructions_util as u\n"
        "print(json.dumps(u.count_sentences('Dr. No came. Then he went.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == 2
