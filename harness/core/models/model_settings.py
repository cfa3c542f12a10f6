"""How a model is loaded and spoken to, beyond its name, device and dtype; passed through to transformers.

    settings = ModelSettings(revision="v2", attn_implementation="eager", system_prompt="Be short.")
    load_policy("org/name", "auto", "auto", cache, settings)

Every default is what was done before there were these settings.
"""

import os
from dataclasses import field
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore
from harness.core.errors import UserError

Attention = Literal["", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ModelSettings:
    revision: Annotated[
        str, Field(description="branch, tag or commit of a hub model; empty: its main one (transformers)"), AsBefore("")
    ] = ""
    attn_implementation: Annotated[
        Attention, Field(description="attention of forward passes; empty: the model's (transformers)"), AsBefore("")
    ] = ""
    device_map: Annotated[
        str, Field(description="spread over devices: auto, balanced, ...; empty: all on one (accelerate)"), AsBefore("")
    ] = ""
    tp_plan: Annotated[
        Literal["", "auto"],
        Field(description="auto: split over processes that torchrun started; empty: not (transformers)"),
        AsBefore(""),
    ] = ""
    quantization_config: Annotated[
        dict[str, Any],
        Field(description="quant_method and what it takes; empty: as stored (transformers)"),
        AsBefore({}),
    ] = field(default_factory=dict)
    chat_template_kwargs: Annotated[
        dict[str, Any],
        Field(description="what else the chat template is given, e.g. enable_thinking (transformers)"),
        AsBefore({}),
    ] = field(default_factory=dict)
    request: Annotated[
        dict[str, Any],
        Field(description="what else every request to a server holds, e.g. reasoning_effort (the server)"),
        AsBefore({}),
    ] = field(default_factory=dict)
    system_prompt: Annotated[
        str, Field(description="said before messages without a system message; empty: nothing (harness)"), AsBefore("")
    ] = ""


AS_BEFORE = ModelSettings()


def loading_options(settings: ModelSettings, model: str, on_hub: bool, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` takes for these settings. Raises UserError where they contradict each other or the model.

    Empty for the default settings: the model is then loaded as it is stored and moved to the device afterwards.
    """
    options: dict[str, Any] = {}
    if settings.request:
        raise UserError(
            f"model_args.request={settings.request}: only a model of a server (openai:BASE_URL#MODEL) gets requests; "
            "leave it out"
        )
    if settings.revision:
        if not on_hub:
            raise UserError(
                f"revision {settings.revision!r} of {model!r}: only hub models have revisions; leave it out"
            )
        options["revision"] = settings.revision
    if settings.attn_implementation:
        options["attn_implementation"] = settings.attn_implementation
    if settings.tp_plan:
        if settings.device_map:
            raise UserError(
                f"tp_plan={settings.tp_plan!r} and device_map={settings.device_map!r}: a model is split in one way or "
                "in the other; give one of them"
            )
        if "LOCAL_RANK" not in os.environ:
            raise UserError(
                f"tp_plan={settings.tp_plan!r} splits a model over launched processes, and this is one alone: start it "
                "with torchrun --nproc-per-node N"
            )
        options["tp_plan"] = settings.tp_plan
    if settings.device_map:
        options["device_map"] = settings.device_map
    if settings.quantization_config:
        if "quant_method" not in settings.quantization_config:
            raise UserError(
                f"quantization_config={settings.quantization_config} names no quant_method; give one that transformers "
                "knows, e.g. {quant_method: bitsandbytes, load_in_4bit: true}"
            )
        options["quantization_config"] = dict(settings.quantization_config)
        if not settings.tp_plan:
            options.setdefault("device_map", {"": str(device)})  # such weights cannot be moved once they are loaded
    return options


def stays(options: dict[str, Any]) -> bool:
    """Whether loading has placed the model already."""
    return bool({"device_map", "tp_plan"} & set(options))
