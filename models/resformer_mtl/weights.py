"""The shipped networks: what a card says of each, and from a checkpoint's tensors to a network that answers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.resformer_mtl.config import Config, from_json
from models.resformer_mtl.plan import ARMS, Arm, Task
from models.resformer_mtl.training import Network, make
from models.shared.packing import lay_in


def arm_facts(task: Task, arm: Arm) -> dict:
    """What a card keeps of an arm, enough to build its network again without this version's plan."""
    config = task.config(arm)
    return {
        "label": arm.label,
        "parameters": parameters_of(config, arm.network),
        "network": arm.network,
        "config": config.as_json(),
        "segments": arm.segments,
        "classifies": arm.classifies,
    }


def task_facts(task: Task, spacing_mm: tuple[float, float] | None = None) -> dict:
    """What a card keeps of a task; the wrapper answers from it alone."""
    return {
        "title": task.title,
        "kind": task.kind,
        "side": task.side,
        "structures": list(task.structures),
        "classes": list(task.classes),
        "exclusive": task.exclusive,
        "spacing_mm": spacing_mm,
        "training": vars(task.training).copy(),
        "arms": {arm: arm_facts(task, ARMS[arm]) for arm in task.arms},
    }


def parameters_of(config: Config, kind: str) -> int:
    """Numbers of a network, counted without its memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in make(config, kind).parameters())


def split_states(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """ "<task>.<arm>.<parameter>" → task → arm → packed state."""
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    for name, tensor in tensors.items():
        task, arm, parameter = name.split(".", 2)
        found.setdefault(task, {}).setdefault(arm, {})[parameter] = tensor
    return found


def network_of(facts: Mapping, packed: Mapping[str, Tensor]) -> Network:
    """A trained network from its `arm_facts` (also as JSON gave them back) and packed weights, in answering mode.

    ConfigRefused or ValueError, in a sentence, when the two do not belong together.
    """
    net = make(from_json(dict(facts["config"])), str(facts["network"]))
    lay_in(net, packed)
    return net.eval().requires_grad_(False)
