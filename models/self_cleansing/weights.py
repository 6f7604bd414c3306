"""The shipped networks: what a card says of each, and from a checkpoint's tensors to a network that answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from models.self_cleansing.network import UNet, laid_out
from models.self_cleansing.plan import ARMS, SETTINGS, Cleansing, Noise, Task
from models.shared.packing import lay_in, pack


def parameters_of(task: Task) -> int:
    """Numbers of the task's network, counted without its memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(task.classes, task.channels, task.widths).parameters())


def task_facts(task: Task, spacing_mm: float | None = None) -> dict:
    """What a card keeps of a task; the wrapper answers from it alone."""
    return {
        "title": task.title,
        "kind": task.kind,
        "source": task.source,
        "side": task.side,
        "channels": task.channels,
        "widths": list(task.widths),
        "structures": list(task.structures),
        "spacing_mm": spacing_mm,
        "pool": task.pool,
        "training": asdict(task.training),
        "settings": {setting: asdict(noise) if (noise := SETTINGS.get(setting)) else None for setting in task.settings},
        "arms": {setting: {arm: arm_facts(arm) for arm in arms} for setting, arms in task.settings.items()},
    }


def arm_facts(arm: str) -> dict:
    """What a card keeps of an arm."""
    known = ARMS[arm]
    return {
        "label": known.label,
        "cleansing": asdict(known.cleansing) if known.cleansing else None,
        "ema": known.ema,
        "augment": known.augment,
    }


def cleansing_of(facts: Mapping) -> Cleansing:
    """The cleansing settings of an arm's facts; the defaults for an arm without."""
    return Cleansing(**(facts["cleansing"] or {}))


def noise_of(facts: Mapping | None) -> Noise | None:
    """A setting's noise from a card."""
    return Noise(**facts) if facts else None


def tensor_name(task: str, setting: str, arm: str, name: str) -> str:
    """The checkpoint's name of a tensor; `name` is "<model>.<parameter>"."""
    return f"{task}/{setting}/{arm}/{name}"


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's state as it ships, whatever its layout in memory."""
    return pack({name: tensor.contiguous() for name, tensor in state.items()})


def split_states(tensors: Mapping[str, Tensor]) -> dict[tuple[str, str, str], dict[str, dict[str, Tensor]]]:
    """(task, setting, arm) → model → packed state."""
    found: dict[tuple[str, str, str], dict[str, dict[str, Tensor]]] = {}
    for full, tensor in tensors.items():
        task, setting, arm, name = full.split("/", 3)
        model, parameter = name.split(".", 1)
        found.setdefault((task, setting, arm), {}).setdefault(model, {})[parameter] = tensor
    return found


def network_of(facts: Mapping, packed: Mapping[str, Tensor]) -> UNet:
    """A trained network from its `task_facts` (also as JSON gave them back) and packed weights, in answering mode.

    ValueError, in a sentence, when the two do not belong together.
    """
    net = UNet(1 + len(facts["structures"]), int(facts["channels"]), tuple(facts["widths"]))
    lay_in(net, packed)
    return laid_out(net).eval().requires_grad_(False)
