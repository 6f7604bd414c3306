"""For the Learn drawer: how far the two tasks pull the encoder the same way, and made-up pictures with their truth to try a network on."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from models.resformer_mtl import oct
from models.resformer_mtl.losses import joint_loss
from models.resformer_mtl.plan import TASKS
from models.resformer_mtl.results import OptionRefused
from models.resformer_mtl.study_data import Cases, material, phantom_cases
from models.resformer_mtl.training import CLAMP, Network
from models.shared.data import phantoms


@dataclass(frozen=True, eq=False)
class Example:
    """A made-up picture and the truth about it."""

    picture: np.ndarray
    """(S, S) uint8."""
    mask: np.ndarray
    """(S, S) uint8: 0 nothing, else the structure's number."""
    labels: tuple[int, ...]
    """(L,) 0 or 1."""
    spacing_mm: tuple[float, float]


def example(task_id: str, number: int, *, size: float | None = None, want: tuple[bool, bool, bool] | None = None) -> Example:
    """Picture `number` of a phantom task's test part. For OCT, `size` 0…1 sets the lesions' size and `want` which kinds there are.

    OptionRefused for a task without phantoms.
    """
    task = TASKS.get(task_id)
    if task is None or task.kind != "phantom":
        raise OptionRefused(
            f"There are no phantoms for {task_id!r}; choose one of {', '.join(t.id for t in TASKS.values() if t.kind == 'phantom')}."
        )
    seed = phantoms.split_seeds("test", 1, number)[0]
    if task.source == "oct":
        scan = oct.sample(seed, task.side, size=size, want=want)
        return Example(
            _bytes(scan.image), scan.mask.astype(np.uint8), tuple(scan.labels.tolist()), tuple(mm / task.side for mm in oct.FIELD_MM)
        )
    one = phantoms.sample(task.source, seed, size=task.side)
    labels = tuple(int(name == one.label) for name in phantoms.classes(task.source))
    return Example(_bytes(one.image), one.lesion_mask.astype(np.uint8), labels, (one.spacing_mm, one.spacing_mm))


def training_batch(task_id: str, n: int = 16) -> Cases:
    """The first `n` pictures with a mask of a task's training part. DataNotHere for an absent set."""
    task = TASKS[task_id]
    if task.kind == "phantom":
        return phantom_cases(task, phantoms.split_seeds("train", n))
    train = material(task).train
    return train.rows(train.has_mask.nonzero()[:n, 0])


def gradient_cosine(net: Network, cases: Cases) -> tuple[float, ...]:
    """For each stage of the encoder the cosine between what the two tasks teach it on these pictures: 1 the same way, −1 against each other.

    OptionRefused for a network without the stages of the method.
    """
    if not hasattr(net, "encoder"):
        raise OptionRefused("The plain U-Net has no stages of the method to compare; choose a ResFormer network.")
    own = copy.deepcopy(net).requires_grad_(True)  # the caller's network is left alone, also for other threads
    stages = [list(getattr(own.encoder, f"layer{number}").parameters()) for number in (1, 2, 3, 4)]
    flat = [p for stage in stages for p in stage]
    with torch.enable_grad():
        out = own(cases.x)
        found = joint_loss(out.seg, out.cls, cases.masks.long(), cases.labels, clamp=CLAMP)
        seg = torch.autograd.grad(found.seg, flat, retain_graph=True)
        cls = torch.autograd.grad(found.cls, flat)
    cosines, start = [], 0
    for stage in stages:
        one, other = (torch.cat([g.flatten() for g in grads[start : start + len(stage)]]) for grads in (seg, cls))
        cosines.append(float(torch.nn.functional.cosine_similarity(one, other, dim=0)))
        start += len(stage)
    return tuple(cosines)


def _bytes(image: np.ndarray) -> np.ndarray:
    return (image * 255).round().astype(np.uint8)
