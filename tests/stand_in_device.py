"""A device that is not there: tensors that say they are on it compute on the CPU, and refuse to meet those of the CPU.

    with StandIn("cuda"):
        model = moved(model)             # its weights and buffers are on the stand-in
        torch.zeros(3, device="cuda") + torch.zeros(3)      # raises, as on a GPU

As on real ones, a number of the CPU (no dimensions) may meet anything, `numpy()` needs `cpu()` first, and "mps" has no
float64. Indices must be on the device too, which CUDA would forgive.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Elsewhere(torch.Tensor):
    """A tensor on the stand-in device; `inner` holds its numbers."""

    inner: torch.Tensor
    where: torch.device

    @staticmethod
    def __new__(cls, inner: torch.Tensor, where: torch.device) -> "Elsewhere":
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(  # torch itself takes it for one without numbers
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device="meta",
        )  # fmt: skip
        made.inner, made.where = inner, where
        return made

    @property
    def device(self) -> torch.device:
        return self.where

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _compute(func, args, kwargs or {})

    # torch looks for the device's driver in these, so they go around it
    def __getitem__(self, index: Any) -> Any:
        self._require_same((index,))
        return _moved(self.inner[_inner(index)], self.device)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._require_same((index, value))
        self.inner[_inner(index)] = _inner(value)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        asked = [*args, *kwargs.values()]
        kinds = [x.dtype if isinstance(x, torch.Tensor) else x for x in asked]
        out = self.inner.to(next((x for x in kinds if isinstance(x, torch.dtype)), self.dtype))
        where = [torch.device(x) for x in asked if isinstance(x, str | torch.device)]
        where += [x.device for x in asked if isinstance(x, torch.Tensor)]
        if where and where[0].type == "cpu":
            return out.clone()
        return self if out is self.inner else _moved(out, self.device)

    def cpu(self) -> torch.Tensor:
        return self.inner.clone()

    def _require_same(self, others: tuple[Any, ...]) -> None:
        _require_one_device("indexing", [self, *_tensors(others)])

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def tolist(self) -> Any:
        return self.inner.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert a {self.device} tensor to numpy; use Tensor.cpu() first")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def __repr__(self) -> str:
        return f"Elsewhere({self.inner}, {self.device})"


def _compute(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What func gives on the CPU, on the stand-in again unless the CPU was asked for."""
    tensors = [*_tensors(args), *_tensors(kwargs.values())]
    _require_one_device(str(func), tensors)
    device, target = next(t.device for t in tensors if isinstance(t, Elsewhere)), kwargs.get("device")
    out = func(*map(_inner, args), **{k: "cpu" if k == "device" else _inner(v) for k, v in kwargs.items()})
    if target is not None and torch.device(target).type == "cpu":
        return out
    return _changed(out, lambda tensor: _moved(tensor, device))


def _require_one_device(what: str, tensors: Sequence[torch.Tensor]) -> None:
    here = [t for t in tensors if not isinstance(t, Elsewhere) and t.dim() > 0]
    if here and any(isinstance(t, Elsewhere) for t in tensors):
        raise RuntimeError(f"{what} was given tensors of the device and of the CPU (of shape {tuple(here[0].shape)})")


def _tensors(things: Iterable[Any]) -> list[torch.Tensor]:
    found = []
    for thing in things:
        if isinstance(thing, torch.Tensor):
            found.append(thing)
        elif isinstance(thing, list | tuple):
            found += _tensors(thing)
    return found


def _changed(thing: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Tensors changed, in lists and tuples too, those with names for their parts included."""
    if isinstance(thing, torch.Tensor):
        return change(thing)
    if isinstance(thing, list | tuple):
        return type(thing)([_changed(part, change) for part in thing])
    return thing


def _inner(thing: Any) -> Any:
    return _changed(thing, lambda tensor: tensor.inner if isinstance(tensor, Elsewhere) else tensor)


def _moved(tensor: torch.Tensor, device: torch.device) -> Elsewhere:
    if device.type == "mps" and tensor.dtype == torch.float64:
        raise TypeError("MPS has no float64")
    return Elsewhere(tensor, device)


class StandIn(TorchFunctionMode):
    """Within, tensors that are asked for on `device` are made on the stand-in."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch._has_compatible_shallow_copy_type:  # so a module that moves gets new parameters
            return False
        if func is torch.Tensor.to:
            asked = [*args[1:], *kwargs.values()]
            if isinstance(args[0], Elsewhere):
                return args[0].to(*asked)
            if any(self._is(x) or isinstance(x, Elsewhere) for x in asked):
                kinds = [x.dtype if isinstance(x, torch.Tensor) else x for x in asked]
                dtype = next((x for x in kinds if isinstance(x, torch.dtype)), args[0].dtype)
                return _moved(args[0].to(dtype).clone(), self.device)
        if any(isinstance(tensor, Elsewhere) for tensor in (*_tensors(args), *_tensors(kwargs.values()))):
            return _compute(func, args, kwargs)
        if self._is(kwargs.get("device")):
            return _moved(func(*args, **{**kwargs, "device": "cpu"}), self.device)
        return func(*args, **kwargs)

    def _is(self, device: Any) -> bool:
        return isinstance(device, str | torch.device) and torch.device(device).type == self.device.type


def moved(model: torch.nn.Module, device: str) -> torch.nn.Module:
    """The model with its weights and buffers on the stand-in."""
    where = torch.device(device)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, torch.nn.Parameter(_moved(parameter.data, where), requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, _moved(buffer, where), persistent=False)
    return model
