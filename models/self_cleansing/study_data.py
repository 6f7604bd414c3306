"""Pictures and true masks of a task, and the augmentation that moves both alike on the device.

Legend: N pictures, H side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.self_cleansing import slices
from models.self_cleansing.plan import Task
from models.shared.data import Split, load


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures of one part with true masks."""

    x: Tensor
    """float32 (N, channels, H, H) in 0…1."""
    masks: Tensor
    """uint8 (N, H, H): 0 nothing, else the structure's number from 1."""

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: str | torch.device) -> Cases:
        """The same on a device."""
        return Cases(self.x.to(device), self.masks.to(device))


@dataclass(frozen=True, eq=False)
class Material:
    """What a task trains and is measured on."""

    train: Cases
    validation: Cases
    test: Cases
    licence: str
    note: str


def material(task: Task, seed: int = 0) -> Material:
    """The task's pictures; `seed` picks a phantom task's training pictures. DataNotHere for an absent set."""
    if task.kind == "real":
        data = load(task.source, size=task.side)
        train, validation, test = (_masked(part) for part in (data.train, data.validation, data.test))
        return Material(_drawn(train, task.pool, seed), _drawn(validation, task.pool, 0), test, data.licence, data.note)
    parts = (phantoms(task, "train", task.pool, seed * task.pool), phantoms(task, "validation", max(4, task.tests * 2 // 5)))
    return Material(*parts, test_cases(task), "made here, CC0", "Made-up pictures, no patients, no clinical truth.")


def test_cases(task: Task) -> Cases:
    """The test part alone, which does not depend on the seed."""
    return material(task).test if task.kind == "real" else phantoms(task, "test", task.tests)


def phantoms(task: Task, part: str, n: int, start: int = 0) -> Cases:
    """The slices of these numbers."""
    x, masks = slices.batch(range(start, start + n), task.side, part)
    return Cases(torch.from_numpy(x), torch.from_numpy(masks))


def spacing_mm(task: Task) -> float | None:
    """Millimetres of a pixel, None where they are not known."""
    return slices.FIELD_MM / task.side if task.kind == "phantom" else None


def _masked(part: Split) -> Cases:
    """Pictures that somebody drew a mask for."""
    rows = torch.ones(len(part), dtype=torch.bool) if part.has_mask is None else part.has_mask
    return Cases(part.x[rows], part.masks[rows].to(torch.uint8))


def _drawn(cases: Cases, n: int, seed: int) -> Cases:
    """`n` of them by the seed's lot, in their order; all where there are no more."""
    if len(cases) <= n:
        return cases
    rows = torch.randperm(len(cases), generator=torch.Generator().manual_seed(seed))[:n].sort().values
    return Cases(cases.x[rows], cases.masks[rows])


def moves(n: int, generator: torch.Generator) -> Tensor:
    """Random numbers for `n` pictures, (n, 5) in 0…1: mirror, upside down, transposed, angle, gamma. On the processor, alike for every device."""
    return torch.rand(n, 5, generator=generator)


def augment(
    x: Tensor, masks: Tensor, move: Tensor, *, flips: bool = True, degrees: float = 0.0, gamma: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mirrors and quarter turns (where `flips`), then up to ± `degrees` and grey levels to a power of up to e^± `gamma`.

    x (B, channels, H, H), masks (B, H, H), `move` (B, 5) from `moves`. Masks are turned by nearest pixel; black comes in at the corners.
    """
    masks = masks[:, None]
    for column, change in enumerate((lambda t: t.flip(-1), lambda t: t.flip(-2), lambda t: t.transpose(-1, -2)) if flips else ()):
        yes = (move[:, column] < 0.5)[:, None, None, None]
        x, masks = torch.where(yes, change(x), x), torch.where(yes, change(masks), masks)
    if degrees:
        angle = (2 * move[:, 3] - 1) * math.radians(degrees)
        zero = torch.zeros_like(angle)
        turn = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], dim=1).view(-1, 2, 3)
        grid = F.affine_grid(turn, list(x[:, :1].shape), align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", align_corners=False)
        masks = F.grid_sample(masks.float(), grid, mode="nearest", align_corners=False).to(masks.dtype)
    if gamma:
        x = x.clamp_min(1e-6) ** ((2 * move[:, 4] - 1) * gamma).exp()[:, None, None, None]
    return x, masks[:, 0]
