"""The shipped networks: what a card says of each, and from a checkpoint's tensors to a network that answers.

A run's tensors are named "<task>.<labels>.<arm>.<parameter>"; the labelled pictures that prototypes are taken of stand beside them as bytes, in the
order in which they were drawn: "<task>.pictures" (n, H, H) or (n, H, H, 3), "<task>.masks" (n, H, H). The first k of them are those of k labels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.semsim.config import Config, from_json
from models.semsim.network import SemSim
from models.semsim.plan import ARMS, Arm, Task
from models.shared.packing import lay_in

PICTURES, MASKS = "pictures", "masks"


def level_key(count: int) -> str:
    """How a number of labelled pictures is written in names."""
    return f"l{count}"


def arm_facts(task: Task, arm: Arm) -> dict:
    """What a card keeps of an arm, enough to build its network again without this version's plan."""
    config = task.config(arm)
    return {
        "label": arm.label,
        "parameters": parameters_of(config)["all"],
        "answering_parameters": parameters_of(config)["unet"],
        "config": config.as_json(),
        "weights": list(arm.weights),
        "t_aff": arm.t_aff,
        "t_cr": arm.t_cr,
    }


def task_facts(task: Task, pool: int, spacing_mm: float | None = None) -> dict:
    """What a card keeps of a task; the wrapper answers from it alone. `pool`: how many training pictures there are."""
    levels = {
        level_key(task.count(labelled, pool)): {
            "labelled": task.count(labelled, pool),
            "of": pool,
            "share": task.count(labelled, pool) / pool,
            "arms": {arm: arm_facts(task, ARMS[arm]) for arm in task.arms_at(labelled)},
        }
        for labelled in task.labelled
    }
    return {
        "title": task.title,
        "kind": task.kind,
        "side": task.side,
        "structures": list(task.structures),
        "spacing_mm": spacing_mm,
        "training": vars(task.training).copy(),
        "levels": levels,
    }


def parameters_of(config: Config) -> dict[str, int]:
    """Numbers of a network, counted without its memory: `all`, `unet`, `fusion`."""
    from models.semsim.network import parameter_parts

    with torch.device("meta"):
        parts = parameter_parts(SemSim(config))
    return {"all": sum(parts.values()), **parts}


def split_states(tensors: Mapping[str, Tensor]) -> dict[tuple[str, str, str], dict[str, Tensor]]:
    """ "<task>.<labels>.<arm>.<parameter>" → (task, labels, arm) → packed state; labelled pictures are left out."""
    found: dict[tuple[str, str, str], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parts = name.split(".", 3)
        if len(parts) == 4:
            found.setdefault((parts[0], parts[1], parts[2]), {})[parts[3]] = tensor
    return found


def network_of(facts: Mapping, packed: Mapping[str, Tensor]) -> SemSim:
    """A trained network from its `arm_facts` (also as JSON gave them back) and packed weights, in answering mode.

    ConfigRefused or ValueError, in a sentence, when the two do not belong together.
    """
    net = SemSim(from_json(dict(facts["config"])))
    lay_in(net, packed)
    return net.eval().requires_grad_(False)
