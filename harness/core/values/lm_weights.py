"""Weights of a value model that were trained: LoRA's alone, or all of them; saved, and put into a copy of the model.

weights = read_weights(path, settings)
decoder = weights.into(model.untouched())
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from warnings import catch_warnings, simplefilter

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from harness.core.models.preference import INSTALL
from harness.core.values.kind_settings import LmSettings


class Weights(Protocol):
    def into(self, decoder: PreTrainedModel) -> PreTrainedModel:
        """The model with these weights; the one that is given is changed."""

    def save(self, path: Path) -> None: ...


def unavailable(settings: LmSettings) -> str | None:
    """Why such weights cannot be trained here, and what to do; None where they can."""
    if settings.train == "lora" and importlib.util.find_spec("peft") is None:
        return f"value.lm.train=lora needs peft, which is not installed: {INSTALL}"
    return None


def with_lora(decoder: PreTrainedModel, rank: int) -> Any:
    """The model with LoRA on all its linear layers, which alone can be trained."""
    from peft import LoraConfig, get_peft_model

    with catch_warnings():
        simplefilter("ignore", FutureWarning)  # peft's, of transformers
        return get_peft_model(decoder, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))


@dataclass(frozen=True)
class Adapter:
    """LoRA's weights by their names in peft."""

    tensors: Mapping[str, torch.Tensor]
    rank: int

    @classmethod
    def of(cls, model: Any, rank: int) -> "Adapter":
        from peft import get_peft_model_state_dict

        return cls({k: v.detach().clone().cpu() for k, v in get_peft_model_state_dict(model).items()}, rank)

    def into(self, decoder: PreTrainedModel) -> PreTrainedModel:
        from peft import set_peft_model_state_dict

        model = with_lora(decoder, self.rank)
        set_peft_model_state_dict(model, {k: v.to(decoder.device) for k, v in self.tensors.items()})
        merged: PreTrainedModel = model.merge_and_unload()
        return merged

    def save(self, path: Path) -> None:
        save_file(dict(self.tensors), path)


@dataclass(frozen=True)
class AllWeights:
    tensors: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, model: PreTrainedModel) -> "AllWeights":
        return cls({name: tensor.detach().clone().cpu() for name, tensor in model.state_dict().items()})

    def into(self, decoder: PreTrainedModel) -> PreTrainedModel:
        decoder.load_state_dict(dict(self.tensors))
        return decoder

    def save(self, path: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, path)


def read_weights(path: Path, settings: LmSettings) -> Weights | None:
    """What `save` wrote; None where the head alone was trained."""
    match settings.train:
        case "frozen":
            return None
        case "lora":
            return Adapter(load_file(path), settings.rank)
        case "full":
            return AllWeights(load_file(path))
