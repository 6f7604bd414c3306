"""Pictures, masks and labels of a task, and the augmentation that keeps them together.

Labels that follow from the mask (OCT: "any pixel of this kind") are read off the mask again after every turn; labels that do not (benign or
malignant) stay. Masks are turned and resized by nearest pixel: the published code's linear resizing eats their edges (spec §5.11).

Legend: N pictures, H side, K structures, L classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.resformer_mtl import oct
from models.resformer_mtl.plan import Task
from models.shared.data import Split, load, phantoms
from models.shared.data.phantoms import split_seeds


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures of one part."""

    x: Tensor
    """float32 (N, 1 or 3, H, H) in 0…1."""
    masks: Tensor
    """uint8 (N, H, H): 0 nothing, else the structure's number from 1."""
    labels: Tensor
    """int64 (N, L) of 0 and 1."""
    has_mask: Tensor
    """bool (N,)."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def strata(self) -> Tensor:
        """int64 (N,): pictures with the same labels; intervals redraw within them."""
        return (self.labels * 2 ** torch.arange(self.labels.shape[1])).sum(dim=1)

    def rows(self, chosen: Tensor) -> Cases:
        """Some of them."""
        return Cases(self.x[chosen], self.masks[chosen], self.labels[chosen], self.has_mask[chosen])


@dataclass(frozen=True, eq=False)
class Material:
    """What a task trains and is measured on."""

    train: Cases
    validation: Cases
    test: Cases
    spacing_mm: tuple[float, float] | None
    """Rows, columns; None where the pictures do not say."""
    derived: bool
    """Whether a label is "any pixel of that structure"."""
    licence: str
    note: str

    def class_weights(self) -> Tensor | None:
        """n / (L · n_k) for classes of which one is true, as the published weights come out; None for labels read off masks."""
        if self.derived:
            return None
        counts = self.train.labels.sum(dim=0).clamp_min(1).float()
        return len(self.train) / (len(counts) * counts)


def material(task: Task, seed: int = 0) -> Material:
    """The task's pictures; `seed` picks a phantom task's training pictures. DataNotHere for an absent set."""
    if task.kind == "real":
        return _real(task)
    start = seed * task.pool
    parts = (
        phantom_cases(task, split_seeds("train", task.pool, start)),
        phantom_cases(task, split_seeds("validation", max(1, task.tests // 4))),
        phantom_cases(task, split_seeds("test", task.tests)),
    )
    spacing = spacing_of(task)
    return Material(*parts, spacing, not task.exclusive, "made here, CC0", "Made-up pictures, no patients, no clinical truth.")


def test_cases(task: Task) -> Cases:
    """The test part alone, which does not depend on the seed."""
    return _real(task).test if task.kind == "real" else phantom_cases(task, split_seeds("test", task.tests))


def spacing_of(task: Task) -> tuple[float, float] | None:
    """Millimetres of a pixel (row, column) of the task's pictures, None where they are not known."""
    if task.source == "oct":
        return oct.FIELD_MM[0] / task.side, oct.FIELD_MM[1] / task.side
    if task.kind == "phantom":
        mm = phantoms.sample(task.source, 0, size=task.side).spacing_mm
        return mm, mm
    return None


def derived_labels(masks: Tensor, structures: int) -> Tensor:
    """(N, H, H) to int64 (N, K): 1 where the structure has a pixel."""
    return torch.stack([(masks == number).flatten(1).any(dim=1) for number in range(1, structures + 1)], dim=1).long()


def from_split(part: Split, classes: int) -> Cases:
    """A data set's part with masks of one structure and one class number each."""
    masks = torch.zeros(len(part), *part.x.shape[-2:]) if part.masks is None else part.masks
    has_mask = torch.zeros(len(part), dtype=torch.bool) if part.has_mask is None else part.has_mask
    return Cases(part.x, masks.to(torch.uint8), F.one_hot(part.y, classes), has_mask)


def _real(task: Task) -> Material:
    data = load(task.source, size=task.side)
    parts = (from_split(part, len(task.classes)) for part in (data.train, data.validation, data.test))
    return Material(*parts, None, not task.exclusive, data.licence, data.note)


def phantom_cases(task: Task, seeds: range) -> Cases:
    """The phantoms of these seeds as a task's cases."""
    if task.source == "oct":
        scans = [oct.sample(seed, task.side) for seed in seeds]
        x, masks = np.stack([scan.image for scan in scans]), np.stack([scan.mask for scan in scans])
        labels = np.stack([scan.labels for scan in scans])
    else:
        batch = phantoms.batch(task.source, seeds, size=task.side)
        x, masks, labels = batch.images, batch.lesion_masks, np.eye(len(batch.classes), dtype=np.int64)[batch.labels]
    drawn = torch.ones(len(x), dtype=torch.bool)
    return Cases(torch.from_numpy(x[:, None].copy()), torch.from_numpy(masks.astype(np.uint8)), torch.from_numpy(labels), drawn)


def augment(x: Tensor, masks: Tensor, generator: torch.Generator, *, mirror: float = 0.5, degrees: float = 25.0) -> tuple[Tensor, Tensor]:
    """Mirrored left to right with probability `mirror` and turned by up to ± `degrees` around the middle; black comes in at the corners.

    x (N, C, H, H) float, masks (N, H, H) uint8; the same move for both. No change of size or brightness.
    """
    n, size = len(x), (len(x), 1, *x.shape[-2:])
    flip = torch.where(torch.rand(n, generator=generator) < mirror, -1.0, 1.0)
    angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(degrees)
    zero = torch.zeros(n)
    moves = torch.stack([flip * angle.cos(), -flip * angle.sin(), zero, angle.sin(), angle.cos(), zero], dim=1).view(n, 2, 3)
    grid = F.affine_grid(moves, size, align_corners=False).to(x.device)
    turned = F.grid_sample(x, grid, mode="bilinear", align_corners=False)
    drawn = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0]
    return turned, drawn.to(torch.uint8)
