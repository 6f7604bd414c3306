"""Which device to compute on, what it is called, and whether half precision is worth it there."""

from __future__ import annotations

import os
import platform
import random
from pathlib import Path

import numpy as np
import torch


def pick_device(wanted: str | torch.device = "auto") -> torch.device:
    """The device to use: for "auto" the first GPU, else the CPU. ValueError with a sentence when the wanted one is absent."""
    if str(wanted) == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError) as fault:
        raise ValueError(f"{wanted!r} is not a device; use auto, cpu, cuda or cuda:0.") from fault
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise ValueError(f"The device {wanted!r} is not supported here; use auto, cpu or cuda.")
    count = torch.cuda.device_count()
    index = device.index or 0
    if index >= count:
        have = "no GPU was found" if count == 0 else f"only {count} GPU{'s' if count > 1 else ''} found"
        raise ValueError(f"The device {wanted!r} is not here: {have}. Use cpu, or auto to take what is there.")
    return torch.device("cuda", index)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators, for building a model the same way twice."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the old global generator are what this is for
    torch.manual_seed(seed)


def hardware(device: str | torch.device = "auto") -> str:
    """What the numbers were measured on, such as "2 × AMD EPYC, CPU, torch 2.14.1" or the GPU's name."""
    device = pick_device(device)
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {_torch_version()}"
    return f"{_usable_cores()} × {_cpu_name()}, CPU, torch {_torch_version()}"


def bf16_pays(device: str | torch.device) -> bool:
    """Whether to use bfloat16 autocast there: yes on a GPU that computes in it, no on a CPU.

    On a CPU with bfloat16 instructions we measured 0.8 times the speed for the small digit network and 1.2 to 1.5 times for larger
    ones; on one without, it is emulated and far slower. That gain does not pay for runs that differ from machine to machine.
    """
    device = torch.device(device)
    if device.type != "cuda" or not torch.cuda.is_available():
        return False
    major, _ = torch.cuda.get_device_capability(device)
    return major >= 8  # Ampere; older ones accept bfloat16 but emulate it


def _torch_version() -> str:
    return torch.__version__.split("+")[0]


def _usable_cores() -> int:
    # A container may be given fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
