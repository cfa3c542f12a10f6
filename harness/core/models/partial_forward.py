"""Hidden states of some blocks, read where they enter the next one, and a forward pass that ends at the highest.

    with States(model, depth=30, layers=(0, 9), stop=True) as states:
        model(...)                     # ends when block 9 is about to begin
    states.read[9]                     # (rows, n, H); 0 is the embedding, l < depth the output of block l

The same for every architecture, whatever its `hidden_states` count from. What the last block gives enters no other one:
layer `depth` is behind the last norm, and is taken from the model's output.
"""

from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel


class States:
    """Within, a call of the model stores the states of `layers`, and ends at the highest where `stop` is set."""

    def __init__(self, model: PreTrainedModel, depth: int, layers: tuple[int, ...], stop: bool = False) -> None:
        assert layers and max(layers) < depth, f"layers {layers} of {depth} blocks"
        self._blocks = blocks_of(model, depth)
        self._layers, self._last = layers, max(layers) if stop else None
        self.read: dict[int, torch.Tensor] = {}

    def __enter__(self) -> "States":
        self._hooks = [
            self._blocks[layer].register_forward_pre_hook(partial(self._store, layer), with_kwargs=True)
            for layer in self._layers
        ]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        for hook in self._hooks:
            hook.remove()
        return isinstance(error, _Reached)

    def _store(self, layer: int, block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What enters a block is what the one below it gave."""
        self.read[layer] = args[0] if args else kwargs["hidden_states"]
        if layer == self._last:
            raise _Reached


def blocks_of(model: PreTrainedModel, depth: int) -> torch.nn.ModuleList:
    """The blocks of the language model, of which there are `depth`; an image encoder may have as many of its own.

    Raises NotImplementedError where there is no such list.
    """
    # the first of these is right for models of several modalities, the others where `decoder` names an output layer
    for part in (model.get_decoder(), model.base_model, model):
        for module in part.modules():
            if isinstance(module, torch.nn.ModuleList) and len(module) == depth:
                return module
    raise NotImplementedError(f"{type(model).__name__} shows no list of its {depth} blocks")


class _Reached(Exception):
    """Every wanted state is there."""
