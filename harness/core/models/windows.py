"""How far a model reads: the smallest window of its blocks, and the longest text that it was made for.

    smallest_window(model)        # 4096 for Mistral, 128 for gpt-oss, None for Llama
    longest_text(model.config)    # 32768, 131072, 2048; None for Mamba

Texts that are no longer than the window, prompt and answer, do not meet it: there the model attends to everything.
"""

from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicSlidingWindowLayer

# what configs call a window that transformers' cache knows nothing of
_WINDOWS = ("window_size", "attention_window_size", "local_attention", "attention_window")
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")


def longest_text(config: PreTrainedConfig) -> int | None:
    """Tokens of prompt and answer together; beyond them a table of positions ends, or was never trained on."""
    fields = config.to_dict()
    named = [fields[name] for name in _LENGTHS if name in fields]
    return next((size for size in named if isinstance(size, int) and size > 0), None)


def smallest_window(model: PreTrainedModel) -> int | None:
    """Tokens, the one that sees included; None where every block sees everything before it."""
    config = model.config.get_text_config(decoder=True)
    try:
        layers = DynamicCache(config=model.config).layers
    except (TypeError, ValueError, AttributeError, LookupError):
        layers = []  # no such cache for this model, as its trial will say
    # transformers' cache is made of the config's layer types, and keeps chunks of attention as it keeps windows
    found = [layer.sliding_window for layer in layers if isinstance(layer, DynamicSlidingWindowLayer)]
    if not found:
        found = _named(config)
    return min(found) if found else None


def _named(config: PreTrainedConfig) -> list[int]:
    """Windows of models that mask them by hand, such as GPT-Neo's `window_size`."""
    fields = config.to_dict()
    named = [fields[name] for name in _WINDOWS if name in fields]
    return [size for size in named if isinstance(size, int) and size > 0]
