"""How large a model is that is not loaded: counted from its configuration, without a weight.

size = size_of("meta-llama/Meta-Llama-3-8B-Instruct", classifies=False)
size.parameters, size.cache_bytes, size.source        # 8030261248, 131072 a token, "its config.json"

The configuration is that of a folder, of the hub's cache, of known.py or of the hub, the first that there is. The model
is built on the device `meta`, where tensors have shapes and no memory.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.core.quiet import silence_libraries
from harness.running.known import MODELS, KnownModel

_HALF = 2  # bytes of bfloat16 and float16


@dataclass(frozen=True)
class Size:
    name: str
    parameters: int
    blocks: int
    cache_bytes: int  # of keys and values of a token, at two bytes a number
    vocabulary: int
    context: int | None  # tokens that it reads
    stored_bytes: int  # of a parameter, as it is downloaded
    is_here: bool  # nothing is left to download, as far as can be seen
    source: str

    @property
    def download(self) -> int:
        """Bytes that are still to be fetched."""
        return 0 if self.is_here else self.parameters * self.stored_bytes


def size_of(name: str, classifies: bool) -> Size:
    """A causal model's size, or that of a reward model with one number a text. Raises UserError for an unknown one."""
    from transformers import AutoConfig

    silence_libraries()
    path, known = Path(name), MODELS.get(name.partition("@")[0])
    if path.is_dir():
        return _counted(name, AutoConfig.from_pretrained(path), classifies, _HALF, True, f"{path}/config.json")
    hub, _, revision = name.partition("@")
    options = {"revision": revision} if revision else {}
    with suppress(OSError, ValueError):
        config = AutoConfig.from_pretrained(hub, local_files_only=True, **options)
        return _counted(name, config, classifies, _HALF, _is_cached(hub), "its configuration in the hub's cache")
    if known is not None:
        return _counted(name, _config(known), classifies, known.stored_bytes, False, known.source)
    try:
        config = AutoConfig.from_pretrained(hub, **options)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the size of model {name!r} is not known: it is no folder, the hub does not give its configuration "
            f"({str(error).splitlines()[0][:100]}), and it is none of {', '.join(MODELS)}"
        ) from error
    return _counted(name, config, classifies, _HALF, False, "its configuration on the hub")


def _config(known: KnownModel) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(known.kind, **known.settings)


def _is_cached(name: str) -> bool:
    """Whether some weights of it lie in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    return any(isinstance(try_to_load_from_cache(name, one), str) for one in names)


def _counted(name: str, config: Any, classifies: bool, stored_bytes: int, is_here: bool, source: str) -> Size:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind: Any = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    if classifies:
        config.num_labels = 1
    with torch.device("meta"):
        model = kind.from_config(config)
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads  # not in every configuration
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Size(
        name=name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        blocks=text.num_hidden_layers,
        cache_bytes=2 * _HALF * text.num_hidden_layers * heads * width,
        vocabulary=text.vocab_size,
        context=getattr(text, "max_position_embeddings", None),
        stored_bytes=stored_bytes,
        is_here=is_here,
        source=source,
    )
