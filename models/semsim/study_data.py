"""Pictures and masks of a task, and which of them keep their labels.

Legend: N pictures, H side, classes 0 (background) to K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.semsim import cardiac
from models.semsim.plan import Task
from models.shared.data import Split, load
from models.shared.data.phantoms import split_seeds


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures of one part."""

    x: Tensor
    """float32 (N, 1 or 3, H, H) in 0…1."""
    masks: Tensor
    """uint8 (N, H, H): 0 nothing, else the structure's number from 1."""

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, chosen: Tensor) -> Cases:
        """Some of them."""
        return Cases(self.x[chosen], self.masks[chosen])

    def to(self, device: str | torch.device) -> Cases:
        """The same pictures on a device."""
        return Cases(self.x.to(device), self.masks.to(device))


@dataclass(frozen=True, eq=False)
class Material:
    """What a task trains and is measured on."""

    train: Cases
    test: Cases
    n_validation: int
    """Pictures put aside for choosing settings; no run sees them."""
    spacing_mm: float | None
    licence: str
    note: str


def material(task: Task) -> Material:
    """The task's pictures. DataNotHere for an absent set."""
    if task.kind == "real":
        data = load(task.source, size=task.side)
        return Material(_from_split(data.train), _from_split(data.test), len(data.validation), None, data.licence, data.note)
    train = phantom_cases(split_seeds("train", task.pool), task.side, task.difficulty)
    return Material(train, test_cases(task), 0, spacing_of(task), "made here, CC0", "Made-up pictures, no patients, no clinical truth.")


def test_cases(task: Task) -> Cases:
    """The test part alone."""
    if task.kind == "real":
        return _from_split(load(task.source, size=task.side).test)
    return phantom_cases(split_seeds("test", task.tests), task.side, task.difficulty)


def spacing_of(task: Task) -> float | None:
    """Millimetres of a pixel, None where they are not known."""
    return cardiac.FIELD_MM / task.side if task.kind == "phantom" else None


def phantom_cases(seeds: range, side: int, difficulty: float = 1.0) -> Cases:
    """The heart-slice phantoms of these seeds."""
    made = [cardiac.sample(seed, side, difficulty=difficulty) for seed in seeds]
    x = np.stack([one.image for one in made])
    return Cases(from_bytes(torch.from_numpy(x)), torch.from_numpy(np.stack([one.mask for one in made])))


def from_bytes(pictures: Tensor) -> Tensor:
    """uint8 (N, H, H) or (N, H, H, 3) to float32 (N, 1 or 3, H, H) in 0…1."""
    values = pictures.float() / 255
    return values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2).contiguous()


def to_bytes(x: Tensor) -> Tensor:
    """The inverse of `from_bytes`."""
    values = (x * 255).round().to(torch.uint8)
    return values[:, 0].contiguous() if x.shape[1] == 1 else values.permute(0, 2, 3, 1).contiguous()


def labelled_rows(pool: int, count: int, seed: int) -> Tensor:
    """int64 (count,): rows of the training part that keep their labels; a greater count holds the rows of a smaller one."""
    return torch.from_numpy(np.random.default_rng([seed, 5]).permutation(pool)[:count].copy())


def _from_split(part: Split) -> Cases:
    return Cases(part.x, part.masks.to(torch.uint8))
