"""Loads a causal language model as a policy: the embedded default by name, a folder, or a hub id.

policy = load_policy("smollm2-135m-instruct", device="auto", dtype="auto", cache=cache)
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from harness.core.contents import contents, files_below, sha256_of
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.manifest import MANIFEST
from harness.core.models.device import place
from harness.core.models.embedded import EMBEDDED, embedded_folder, embedded_sha256
from harness.core.models.model_settings import AS_BEFORE, ModelSettings, loading_options, stays
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.quiet import silence_libraries


@dataclass(frozen=True)
class Loaded:
    model: PreTrainedModel
    tokenizer: Any
    contents: Mapping[str, str]  # what was loaded, by parts: revision or asset, and sha256 of files

    @property
    def fingerprint(self) -> str:
        return digest(self.contents)[:16]


def load_policy(
    model: str, device: str, dtype: str, cache: Path, settings: ModelSettings = AS_BEFORE
) -> TransformersPolicy:
    """Load a causal model by embedded name, folder or hub id. Raises UserError where it cannot be found or read."""
    loaded = _load(model, device, dtype, cache, settings)

    def again(name: str) -> tuple[PreTrainedModel, Any, str]:
        same = settings if name == model else replace(settings, revision="")
        return load_model(name, device, dtype, cache, same)

    policy = TransformersPolicy(loaded.model, loaded.tokenizer, model, loaded.fingerprint, again, settings=settings)
    policy.contents = loaded.contents
    return policy


def load_model(
    model: str, device: str, dtype: str, cache: Path, settings: ModelSettings = AS_BEFORE
) -> tuple[PreTrainedModel, Any, str]:
    """The model as transformers has it, its tokenizer, and a fingerprint of all its files."""
    loaded = _load(model, device, dtype, cache, settings)
    return loaded.model, loaded.tokenizer, loaded.fingerprint


def contents_of(model: str, cache: Path, revision: str = "") -> dict[str, str]:
    """What names a model that was loaded: name -> sha256 of every file of its folder, and what else pins it.

    The embedded model has its asset's sha256 besides. A hub model has its revision, which fixes every file; only files
    that are not those of the revision any more, since somebody edited the hub's cache, are listed with their sha256.
    Raises UserError for a model that lies neither in a folder nor in the hub's cache.
    """
    if model == EMBEDDED:
        files = contents(embedded_folder(cache), cache)
        return {"asset": embedded_sha256()} | {name: sha for name, sha in files.items() if name != MANIFEST}
    if Path(model).exists():
        return contents(Path(model), cache)
    config = try_to_load_from_cache(model, "config.json", revision=revision or None)  # it was just loaded
    if not isinstance(config, str):
        raise UserError(f"--model {model!r} was loaded, but is not in the hub's cache, so nothing says which it is")
    snapshot = Path(config).parent
    return {"revision": snapshot.name, **edited_in_snapshot(snapshot, cache)}


def edited_in_snapshot(snapshot: Path, cache: Path) -> dict[str, str]:
    """Name -> sha256 of files in a folder of the hub's cache that are not those that the hub listed.

    There a file is a link to one that is named by the hub's hash: sha256 for large files, git's sha1 for small ones.
    Files that are no links (Windows) have no such name, and are listed with all that they hold.
    """
    edited = {}
    for name, path in files_below(snapshot).items():
        sha256, listed = sha256_of(path, cache), path.readlink().name if path.is_symlink() else ""
        if sha256 != listed and _git_sha1(path, listed) != listed:
            edited[name] = sha256
    return edited


def _git_sha1(path: Path, listed: str) -> str | None:
    """git's name for the content, where `listed` is such a name."""
    if len(listed) != 40:
        return None
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _load(model: str, device: str, dtype: str, cache: Path, settings: ModelSettings) -> Loaded:
    place_device, place_dtype = place(device, dtype)
    silence_libraries()
    source = embedded_folder(cache) if model == EMBEDDED else model
    if Path(source).exists():
        if not Path(source, "config.json").is_file():
            raise UserError(f"--model {model!r} is no model folder: it holds no config.json. Give a folder or a hub id")
    elif model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UserError(f"--model {model!r}: no such folder. Give an existing folder or a hub id such as org/name")
    else:
        print(f"looking for {model!r} on the hub", file=sys.stderr, flush=True)
    options = loading_options(settings, model, not Path(source).exists(), place_device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **{k: v for k, v in options.items() if k == "revision"})
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=place_dtype, **options)
    except ImportError as error:  # of what a setting needs: a quantisation, a kernel of attention
        raise UserError(f"--model {model!r} with {options} cannot be loaded here: {_first_line(error)}") from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(
            f"--model {model!r} could not be loaded: {_first_line(error)} If it is a hub id, check its spelling and "
            f"that the hub can be reached; offline, give a folder or {EMBEDDED!r}"
        ) from error
    if not stays(options):
        loaded.to(place_device)  # type: ignore[arg-type]  # transformers wraps it without its types
    return Loaded(loaded, tokenizer, contents_of(model, cache, settings.revision))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
