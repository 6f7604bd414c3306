"""Simulated prompts: what a person would click next, or the box they would draw.

For training, on many masks at once and random (`first_clicks`, `corrections`, `boxes`); for measuring, on one mask and always the same
(`interior_pixel`, `next_click`, `tight_box`).
Sources: Ravi et al. 2024, section D.1 (a first click inside or a jittered box, then clicks where prediction and truth differ);
Kirillov et al. 2023 (Segment Anything), appendix A (box noise of a tenth of the side); the most interior pixel of the larger error as
in the published interactive-segmentation protocols.
Known deviation: a random click is uniform over its region for half the objects, and drawn to the region's interior for the others, as
people click (inferred).

n objects, R side of the masks, S side of the square the network sees. Points are in the network's plane `m_` (see `records`).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BOX_NOISE = 0.1
"""Standard deviation of a corner as a share of the box's side, at most; each object draws its own from 0 up."""
BOX_NOISE_MAX = 5.0
"""Of a corner, in pixels of the network's square: a published 20 of 1024."""


def first_clicks(masks: Tensor, *, side: int, generator: torch.Generator) -> Tensor:
    """(n, R, R) bool, none of them empty → (n, 2) points inside."""
    return _m_from_pixels(_draw(masks, generator), masks.shape[-1], side, generator)


def corrections(predicted: Tensor, masks: Tensor, *, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Predicted and true (n, R, R) bool → points (n, 2) where they differ, and labels (n,): 1 missed, 0 too much.

    Where they are equal the click falls inside the mask, as a person who confirms would do.
    """
    wrong = predicted ^ masks
    region = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, masks)
    rows = _draw(region, generator)
    labels = masks.flatten(1).gather(1, rows[:, None])[:, 0].int()
    return _m_from_pixels(rows, masks.shape[-1], side, generator), labels


def boxes(masks: Tensor, *, side: int, generator: torch.Generator) -> Tensor:
    """(n, R, R) bool, none of them empty → (n, 2, 2): upper left and lower right corner, moved a little at random."""
    size, step = masks.shape[-1], side / masks.shape[-1]
    ends = []
    for axis in (1, 2):  # a row of flags for x, then for y
        flags = masks.any(axis).int()
        ends.append((flags.argmax(1), size - 1 - flags.flip(1).argmax(1)))
    low = torch.stack([ends[0][0], ends[1][0]], 1) * step  # n 2
    high = (torch.stack([ends[0][1], ends[1][1]], 1) + 1) * step - 1  # n 2
    corners = torch.stack([low, high], 1)  # n 2 2
    spread = BOX_NOISE * torch.rand(len(masks), 1, 1, generator=generator) * (high - low)[:, None]
    noise = torch.randn(corners.shape, generator=generator) * spread
    return (corners + noise.clamp(-BOX_NOISE_MAX, BOX_NOISE_MAX)).clamp(0, side - 1)


def _draw(regions: Tensor, generator: torch.Generator) -> Tensor:
    """One pixel of each region, as an index into its flattened pixels: (n,)."""
    flat = regions.float()
    interior = F.avg_pool2d(flat[:, None], 9, stride=1, padding=4)[:, 0] ** 6
    inward = torch.rand(len(regions), 1, 1, generator=generator) < 0.5
    weights = flat * torch.where(inward, interior + 1e-6, 1.0)
    return torch.multinomial(weights.flatten(1), 1, generator=generator)[:, 0]


def _m_from_pixels(rows: Tensor, size: int, side: int, generator: torch.Generator) -> Tensor:
    """Flat indices on a grid of `size` → points anywhere in that pixel: (n, 2)."""
    pixels = torch.stack([rows % size, rows // size], 1)
    return (pixels + torch.rand(pixels.shape, generator=generator)) * (side / size) - 0.5


def interior_pixel(region: np.ndarray) -> tuple[int, int]:
    """(H, W) bool, not empty → (x, y) of the pixel farthest from the region's edge, the first one in reading order.

    The picture's border counts as an edge.
    """
    from scipy.ndimage import distance_transform_edt

    ys, xs = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(ys):
        raise ValueError("There is no pixel to click: the region is empty.")
    cut = np.pad(region[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1], 1)
    y, x = np.unravel_index(np.argmax(distance_transform_edt(cut)), cut.shape)
    return int(xs[0] + x - 1), int(ys[0] + y - 1)


def next_click(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, int, int] | None:
    """(x, y, label) in the middle of the larger of the two errors, missed (1) or too much (0); None where nothing is wrong.

    Of an error in several pieces, the piece with the most interior pixel is clicked.
    """
    missed, extra = truth & ~predicted, predicted & ~truth
    if not (missed.any() or extra.any()):
        return None
    label = int(missed.sum() >= extra.sum())
    return *interior_pixel(missed if label else extra), label


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the mask's pixels, the last ones included. ValueError for an empty mask."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(ys):
        raise ValueError("There is no box around nothing: the mask is empty.")
    return int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])
