"""Weak and strong views of a batch, in tensor operations on the batch's device: no picture leaves it and nothing is read back.

The moves are UniMatch's medical ones (inferred; the paper names random flips, colour, CutMix and channel dropout): turns and flips for both views;
brightness, contrast (saturation and hue in colour), blur and CutMix for the strong one. Known deviations: all moves of a batch are drawn as one table of
random numbers; hue is turned in YIQ; blur is scaled to the small pictures; CutMix pastes from the same batch's next picture.
Legend: B pictures, H side, u random numbers in 0…1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from models.semsim.plan import Training

_BLUR_TAPS = 7
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@lru_cache(maxsize=4)
def _yiq(device: torch.device) -> tuple[Tensor, Tensor]:
    """RGB to YIQ and back, (3, 3) each, kept on the device: working out the inverse there would wait for it."""
    matrix = torch.tensor(_TO_YIQ)
    return matrix.to(device), torch.linalg.inv(matrix).to(device)


@dataclass(frozen=True, eq=False)
class Views:
    """The unlabelled half of one batch."""

    weak: Tensor
    """(B, C, H, H)."""
    strong: tuple[Tensor, Tensor]
    """Two strong views, CutMix done."""
    boxes: tuple[Tensor, Tensor]
    """bool (B, H, H): where the strong view shows the next picture of the batch."""


def turned(x: Tensor, masks: Tensor | None, generator: torch.Generator, training: Training) -> tuple[Tensor, Tensor | None]:
    """The weak view: x (B, C, H, H) and class numbers (B, H, H) by the same turn; black and background come in at the corners."""
    u = _draw(len(x), 5, generator, x.device)
    small = (2 * u[:, 1] - 1) * math.radians(training.degrees)
    quarter = (u[:, 1] * 4).floor().clamp(max=3) * (math.pi / 2)
    small = torch.where(u[:, 0] < 0.75, small, torch.zeros_like(small))
    angle = torch.where(u[:, 0] < 0.5, quarter, small) if training.quarter_turns else torch.where(u[:, 0] < 0.75, small, 0 * small)
    flip = torch.where(u[:, 2] < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(angle)
    moves = torch.stack([flip * angle.cos(), -flip * angle.sin(), zero, angle.sin(), angle.cos(), zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(moves, [len(x), 1, *x.shape[-2:]], align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", align_corners=False)
    if masks is None:
        return moved, None
    drawn = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0]
    return moved, drawn.long()


def views(x: Tensor, generator: torch.Generator, training: Training) -> Views:
    """Weak and two strong views of unlabelled pictures (B, C, H, H) in 0…1."""
    weak, _ = turned(x, None, generator, training)
    strong, boxes = [], []
    for _ in range(2):
        changed = recoloured(weak, _draw(len(x), 8, generator, x.device), training)
        box = cutmix_boxes(_draw(len(x), 5, generator, x.device), x.shape[-1], training.cutmix)
        strong.append(mixed(changed, box))
        boxes.append(box)
    return Views(weak, (strong[0], strong[1]), (boxes[0], boxes[1]))


def recoloured(x: Tensor, u: Tensor, training: Training) -> Tensor:
    """Brightness, contrast and in colour saturation and hue, each in 80 % of the pictures together; blur in half. u (B, 8)."""
    factors = 1 + training.colour * (2 * u[:, :3] - 1)
    wide = factors[:, :, None, None, None]
    changed = (x * wide[:, 0]).clamp(0, 1)
    middle = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = ((changed - middle) * wide[:, 1] + middle).clamp(0, 1)
    if x.shape[1] == 3:
        changed = _hued(changed, factors[:, 2], (2 * u[:, 3] - 1) * training.colour * math.pi).clamp(0, 1)
    changed = torch.where((u[:, 4] < 0.8)[:, None, None, None], changed, x)
    blurred = _blurred(changed, 0.1 + u[:, 5] * max(training.blur_px - 0.1, 0.0))
    return torch.where((u[:, 6] < 0.5)[:, None, None, None], blurred, changed)


def cutmix_boxes(u: Tensor, side: int, probability: float) -> Tensor:
    """bool (B, H, H): boxes of 2 to 40 % of the picture, 0.3 to 3.3 times as high as wide, with this probability. u (B, 5)."""
    area = (0.02 + 0.38 * u[:, 0]) * side * side
    ratio = 0.3 + 3.0 * u[:, 1]
    high, wide = (area * ratio).sqrt().clamp(max=side).round(), (area / ratio).sqrt().clamp(max=side).round()
    top, left = ((side - high) * u[:, 2]).round(), ((side - wide) * u[:, 3]).round()
    at = torch.arange(side, device=u.device)
    rows = (at >= top[:, None]) & (at < (top + high)[:, None])
    columns = (at >= left[:, None]) & (at < (left + wide)[:, None])
    return rows[:, :, None] & columns[:, None, :] & (u[:, 4] < probability)[:, None, None]


def mixed(x: Tensor, boxes: Tensor) -> Tensor:
    """Inside the boxes (B, H, H) each picture or map (B, …, h, h) shows the batch's next one; boxes are taken at the map's size."""
    side = x.shape[-1]
    if boxes.shape[-1] != side:
        boxes = F.interpolate(boxes[:, None].float(), (side, side), mode="nearest-exact")[:, 0] > 0
    where = boxes.view(len(x), *[1] * (x.ndim - 3), side, side)
    return torch.where(where, x.roll(-1, 0), x)


def _draw(n: int, k: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(n, k, generator=generator, device=generator.device).to(device)


def _hued(x: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Colour (B, 3, H, H) with its chroma scaled and turned by an angle (B,)."""
    matrix, inverse = _yiq(x.device)
    yiq = torch.einsum("ij,bjhw->bihw", matrix, x)
    cos, sin = (saturation * hue.cos())[:, None, None], (saturation * hue.sin())[:, None, None]
    i, q = yiq[:, 1] * cos - yiq[:, 2] * sin, yiq[:, 1] * sin + yiq[:, 2] * cos
    return torch.einsum("ij,bjhw->bihw", inverse, torch.stack([yiq[:, 0], i, q], dim=1))


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with each picture's own sigma in pixels (B,)."""
    b, c, h, w = x.shape
    at = torch.arange(_BLUR_TAPS, device=x.device) - _BLUR_TAPS // 2
    taps = (-(at**2) / (2 * sigma[:, None] ** 2)).exp()
    taps = (taps / taps.sum(dim=1, keepdim=True)).repeat_interleave(c, 0)  # B·C taps
    pad = _BLUR_TAPS // 2
    flat = F.pad(x.reshape(1, b * c, h, w), (pad, pad, pad, pad), mode="replicate")
    flat = F.conv2d(flat, taps[:, None, :, None], groups=b * c)
    return F.conv2d(flat, taps[:, None, None, :], groups=b * c).view(b, c, h, w)
