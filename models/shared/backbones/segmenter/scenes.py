"""Training batches: pictures of the pool, turned, stretched and shaded at random, some with a made-up object pasted in.

The pasted objects have any outline, size and contrast, on any picture: the network should follow an edge it is pointed at, not only
the anatomy it knows (inferred; measured on the family it never sees).
B pictures, O objects prompted in each, M objects that a picture has (padded), S = 256, R = 128.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.segmenter.pool import MASK_SIDE, MAX_OBJECTS, SIDE, Pool

SHARES = {"busi": 0.15}
"""Of a batch; the other pools share the rest evenly."""
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
SMALLEST = 8
"""Pixels of the R by R mask below which an object is not asked for."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """One batch."""

    pixels: Tensor
    """(B, 3, S, S) normalised as the published networks want it."""
    covered: Tensor
    """(B * O, R, R) float: the covered share of each pixel; zero where `asked` is not."""
    asked: Tensor
    """(B * O,) bool: there is an object. Else the place is empty: a click there should be answered with a low score."""
    empty: Tensor
    """(B, R, R) bool: pixels of no known object."""


def draw_scenes(pools: Sequence[Pool], *, pictures: int, objects: int, generator: torch.Generator, nothing: float = 0.0) -> Scenes:
    """A batch of `pictures` with `objects` each; a share `nothing` of the objects is replaced by an empty place."""
    image, masks, lesions = _pick(pools, pictures, generator)
    image, masks = _move(image, masks, generator)
    image = _shade(image, generator)
    image, masks = _paste(image, masks, generator)
    chosen = _choose(masks, lesions, objects, generator)  # B O
    covered = masks.gather(1, chosen[..., None, None].expand(-1, -1, MASK_SIDE, MASK_SIDE)).flatten(0, 1)
    asked = (covered > 0.5).flatten(1).sum(1) >= SMALLEST
    asked &= torch.rand(len(asked), generator=generator) >= nothing
    pixels = (image.clamp(0, 1).expand(-1, 3, -1, -1) - MEAN) / STD
    return Scenes(pixels, covered * asked[:, None, None], asked, masks.amax(1) < 0.5)


def _pick(pools: Sequence[Pool], n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (B, 1, S, S) in 0…1, masks (B, M, R, R) in 0…1, and how many of each picture's masks are lesions (B,)."""
    rest = 1 - sum(SHARES.get(pool.name, 0) for pool in pools)
    common = sum(pool.name not in SHARES for pool in pools)
    shares = torch.tensor([SHARES.get(pool.name, rest / max(common, 1)) for pool in pools])
    image = np.zeros((n, 1, SIDE, SIDE), np.uint8)
    masks = np.zeros((n, MAX_OBJECTS, MASK_SIDE, MASK_SIDE), np.uint8)
    lesions = np.zeros(n, np.int64)
    for b, which in enumerate(torch.multinomial(shares, n, replacement=True, generator=generator).tolist()):
        pool = pools[which]
        i = int(torch.randint(len(pool), (), generator=generator))
        found = pool.masks[pool.first[i] : pool.first[i + 1]]
        image[b, 0], masks[b, : len(found)], lesions[b] = pool.images[i], found, pool.lesions[i]
    return torch.from_numpy(image) / 255, torch.from_numpy(masks) / 255, torch.from_numpy(lesions)


def _move(image: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror all, and turn, stretch and shift two in three; the others keep their pixels as they are."""
    n = len(image)
    u = lambda low, high: low + (high - low) * torch.rand(n, generator=generator)  # noqa: E731
    free = (torch.rand(n, generator=generator) < 0.67).float()
    angle, size = free * u(-0.4, 0.4), torch.exp(free * u(-0.5, 0.35))
    wide = torch.exp(free * u(-0.15, 0.15))
    flip_x = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    flip_y = torch.where(torch.rand(n, generator=generator) < 0.15, -1.0, 1.0)
    x, y = free * u(-0.15, 0.15), free * u(-0.15, 0.15)
    rows = [
        torch.stack([angle.cos() * flip_x * size * wide, -angle.sin() * flip_y * size, x], 1),
        torch.stack([angle.sin() * flip_x * size * wide, angle.cos() * flip_y * size, y], 1),
    ]
    theta = torch.stack(rows, 1)  # B 2 3
    moved = [
        F.grid_sample(what, F.affine_grid(theta, list(what.shape), align_corners=False), align_corners=False) for what in (image, masks)
    ]
    return moved[0], moved[1]


def _shade(image: Tensor, generator: torch.Generator) -> Tensor:
    """Gamma and contrast for all; some turned to their negative, softened, or grained."""
    n = (len(image), 1, 1, 1)
    normal = lambda: torch.randn(n, generator=generator)  # noqa: E731
    chance = lambda p: torch.rand(n, generator=generator) < p  # noqa: E731
    image = image.clamp(0, 1) ** torch.exp(0.25 * normal())
    image = (image - 0.5) * torch.exp(0.2 * normal()) + 0.5 + 0.08 * normal()
    image = torch.where(chance(0.1), 1 - image, image)
    image = torch.where(chance(0.15), F.avg_pool2d(image, 3, 1, 1), image)
    grain = torch.randn(image.shape, generator=generator) * (0.06 * torch.rand(n, generator=generator))
    return image + torch.where(chance(0.4), grain, 0.0)


def _paste(image: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shade a random blob into every other picture, as a further mask; what it hides of the others stays theirs."""
    n = len(image)
    blob = _blobs(n, generator) * (torch.rand(n, 1, 1, generator=generator) < 0.5)  # B R R
    alpha = F.interpolate(blob[:, None], SIDE, mode="bilinear")
    under = (image * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3)).clamp(min=1)
    # Darker than black cannot be seen, so a dark place is brightened and a bright one darkened.
    darker = torch.where((under - 0.5).abs() < 0.2, torch.rand(n, generator=generator) < 0.5, under > 0.5)
    contrast = torch.where(darker, -1.0, 1.0) * (0.1 + 0.35 * torch.rand(n, generator=generator))
    return image + contrast[:, None, None, None] * alpha, torch.cat([masks, blob[:, None]], 1)


def _blobs(n: int, generator: torch.Generator) -> Tensor:
    """(n, R, R): filled outlines whose radius swings about its mean, with an edge one pixel soft."""
    u = lambda low, high, *shape: low + (high - low) * torch.rand(n, *shape, generator=generator)  # noqa: E731
    centre_x, centre_y = u(16, MASK_SIDE - 16, 1, 1), u(16, MASK_SIDE - 16, 1, 1)
    grid = torch.arange(MASK_SIDE) + 0.5
    dx, dy = grid[None, None, :] - centre_x, grid[None, :, None] - centre_y
    theta, aspect = torch.atan2(dy, dx), torch.exp(u(-0.4, 0.4, 1, 1))
    radius = torch.exp(u(math.log(3), math.log(32), 1, 1))
    swing = sum(u(0, 0.5, 1, 1) / harmonic * torch.cos(harmonic * theta + u(0, 2 * math.pi, 1, 1)) for harmonic in (2, 3, 5))
    distance = torch.sqrt((dx * aspect) ** 2 + (dy / aspect) ** 2)
    return (radius * (1 + 0.6 * swing) - distance + 0.5).clamp(0, 1)


def _choose(masks: Tensor, lesions: Tensor, objects: int, generator: torch.Generator) -> Tensor:
    """(B, M) → (B, O) indices, lesions and the pasted object three times as likely as organs; the same one may come twice."""
    size = (masks > 0.5).flatten(2).sum(2)  # B M
    place = torch.arange(masks.shape[1])
    special = (place < lesions[:, None]) | (place == masks.shape[1] - 1)
    weights = (size >= SMALLEST) * torch.where(special, 3.0, 1.0) + 1e-6
    return torch.multinomial(weights, objects, replacement=True, generator=generator)
