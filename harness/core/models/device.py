"""Where tensors live: the one place that decides device, dtype and threads."""

import os

import torch

from harness.core.errors import UserError, unknown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def place(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The torch device and dtype for settings such as ("auto", "auto"), ("cuda:1", "bfloat16") or ("cpu", "float32").

    auto: CUDA, then MPS, then CPU; bfloat16 on CUDA that has it, float16 on other CUDA, float32 elsewhere.
    On a CPU, torch is set to one thread: two processes of one thread do more work than one of two.
    """
    if device == "auto":
        # launchers start one process a device and number them on each machine
        cuda = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        device = cuda if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {device!r} cannot be used here ({reason}); try --device cpu") from error
    if dtype == "auto":
        half = "bfloat16" if chosen.type == "cuda" and torch.cuda.is_bf16_supported() else "float16"
        dtype = half if chosen.type == "cuda" else "float32"
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, [*DTYPES, "auto"])
    if chosen.type == "cpu":
        torch.set_num_threads(1)
    return chosen, DTYPES[dtype]


def widest(device: torch.device) -> torch.dtype:
    """The most precise float type the device computes with: MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
