"""Pictures with their labels as tensors: made-up ones drawn from seeds, or a public set whose classes become labels of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.hsvlt.findings import FINDINGS, sample
from models.hsvlt.plan import Task
from models.shared.data.phantoms import split_seeds

BRAIN = {"glioma": 0, "meningioma": 1, "pituitary": 2}
BUSI = {"benign": 0, "malignant": 1}


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures and what is there."""

    x: Tensor
    """uint8 (N, 1, S, S)."""
    y: Tensor
    """bool (N, K)."""
    masks: np.ndarray | None = None
    """bool (N, K, S, S) where it is known."""

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: str | torch.device) -> Cases:
        """The same on a device, without masks."""
        return Cases(self.x.to(device), self.y.to(device))


def phantom_cases(split: str, n: int, side: int, start: int = 0, *, masks: bool = False, size: float = 1.0) -> Cases:
    """`n` made-up pictures of a split, from its `start`-th seed on; drawn at twice the side and made small, as pictures of visitors are."""
    x, y = np.zeros((n, 1, side, side), np.uint8), np.zeros((n, len(FINDINGS)), bool)
    places = np.zeros((n, len(FINDINGS), side, side), bool) if masks else None
    for row, seed in enumerate(split_seeds(split, n, start)):  # one at a time: thousands of them at twice the side fill the memory
        one = sample(seed, 2 * side, size=size)
        x[row, 0], y[row] = (halved(one.image) * 255).round(), one.present
        if places is not None:
            places[row] = halved(one.masks) > 0
    return Cases(torch.from_numpy(x), torch.from_numpy(y), places)


def halved(values: np.ndarray) -> np.ndarray:
    """(…, 2S, 2S) to (…, S, S): means of four."""
    *before, h, w = values.shape
    return values.reshape(*before, h // 2, 2, w // 2, 2).mean((-3, -1))


@lru_cache(maxsize=4)
def parts(task: Task, seed: int) -> tuple[Cases, Cases]:
    """(training, test) pictures of a task; only made-up training pictures depend on the seed. DataNotHere where a set is missing."""
    if task.source == "findings":
        return phantom_cases("train", task.pool, task.side, seed * task.pool), phantom_tests(task.tests, task.side)
    from importlib import import_module

    found = import_module(f"models.shared.data.{task.source}").load(task.side)
    number = BRAIN if task.source == "brain_mri" else BUSI
    places = torch.tensor([next((place for word, place in number.items() if word in name.lower()), -1) for name in found.classes])
    both = []
    for split in (found.train, found.test):
        label = places[torch.as_tensor(split.y).long()]
        y = torch.zeros(len(label), len(number), dtype=torch.bool)
        y[label >= 0] = torch.nn.functional.one_hot(label[label >= 0], len(number)).bool()
        both.append(Cases((torch.as_tensor(split.x) * 255).round().to(torch.uint8), y))
    return both[0], both[1]


@lru_cache(maxsize=2)
def phantom_tests(n: int, side: int) -> Cases:
    """The test pictures with masks; the same for all runs."""
    return phantom_cases("test", n, side, masks=True)
