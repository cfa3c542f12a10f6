"""A forward pass that ends early: hidden states of some blocks, without the work of the blocks above them."""

from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel


class StatesUpTo:
    """Within, a call of the model stores the states of `layers` and ends at the highest of them.

    with StatesUpTo(model, depth=30, layers=(0, 9)) as reached:
        model(...)
    reached.states[9]            # (rows, n, H); 0 is the embedding, l the output of block l < depth
    """

    def __init__(self, model: PreTrainedModel, depth: int, layers: tuple[int, ...]) -> None:
        assert layers and max(layers) < depth, f"layers {layers} of {depth} blocks"
        self._blocks = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth)
        self._layers = layers
        self.states: dict[int, torch.Tensor] = {}

    def __enter__(self) -> "StatesUpTo":
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
        self.states[layer] = args[0] if args else kwargs["hidden_states"]
        if layer == max(self._layers):
            raise _Reached


class _Reached(Exception):
    """Every wanted state is there."""
