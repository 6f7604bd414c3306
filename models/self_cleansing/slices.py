"""Made-up liver slices at a small size: a liver, its vessels, and up to three lesions of two kinds. No patients, no clinical truth.

Kinds and the signs that define them (inferred, for demonstration): a tumour is slightly dark with a blurred edge and an uneven inside; a cyst is as dark
as water, even, with a sharp edge. The house's liver phantoms show the whole belly, where a lesion has three to seven pixels at this size; these show
the liver alone. Spacing: `FIELD_MM` / side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FIELD_MM = 160.0
STRUCTURES = ("tumour", "cyst")
_PARTS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture."""

    image: np.ndarray
    """float32 (H, H) in 0…1."""
    mask: np.ndarray
    """uint8 (H, H): 0 nothing, 1 tumour, 2 cyst."""


def sample(seed: int, side: int = 64, part: str = "train") -> Slice:
    """The slice of that number in that part ("train", "validation" or "test"). ValueError for a side outside 32…512."""
    if not 32 <= side <= 512:
        raise ValueError(f"Slices can be made at 32 to 512 pixels a side, not at {side}.")
    dice = np.random.default_rng([20240905, _PARTS[part], seed])
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side + np.float32(0.5 / side)
    liver = _blob(dice, y, x, dice.uniform(0.46, 0.54), dice.uniform(0.46, 0.54), dice.uniform(0.34, 0.41), 0.10)
    image = np.full((side, side), 0.30, np.float32) + 0.10 * ndimage.zoom(dice.normal(size=(5, 5)), side / 5, order=1)[:side, :side]
    wall = 0.60 + dice.uniform(-0.04, 0.04)
    image = _lay(image, wall + 0.02 * ndimage.zoom(dice.normal(size=(8, 8)), side / 8, order=1)[:side, :side], liver, 0.01)
    for _ in range(dice.integers(3, 6)):  # vessels: bright curved lines
        a, b, c = dice.uniform(0, np.pi), dice.uniform(-0.2, 0.2), dice.uniform(-1.2, 1.2)
        along, across = (x - 0.5) * np.cos(a) + (y - 0.5) * np.sin(a), (y - 0.5) * np.cos(a) - (x - 0.5) * np.sin(a)
        line = dice.uniform(0.006, 0.014) - np.abs(across - b - c * along**2)
        image += 0.13 * _soft(line, 0.006) * _soft(liver, 0.01)
    mask = np.zeros((side, side), np.uint8)
    for _ in range(dice.choice(4, p=(0.08, 0.42, 0.32, 0.18))):
        _lesion(dice, image, mask, liver, y, x)
    image = ndimage.gaussian_filter(image + 0.05 * dice.normal(size=image.shape), 0.6)
    return Slice(np.clip(image, 0, 1).astype(np.float32), mask)


def batch(numbers: range, side: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures float32 (N, 1, H, H) and masks uint8 (N, H, H)."""
    made = [sample(number, side, part) for number in numbers]
    return np.stack([one.image for one in made])[:, None], np.stack([one.mask for one in made])


def _lesion(dice: np.random.Generator, image: np.ndarray, mask: np.ndarray, liver: np.ndarray, y: np.ndarray, x: np.ndarray) -> None:
    """Draws one lesion inside the liver, away from the others, if there is room."""
    radius = dice.uniform(0.07, 0.14)
    room = (liver > radius * 0.9) & (ndimage.distance_transform_edt(mask == 0) / len(mask) > radius + 0.05)
    places = np.flatnonzero(room)
    if not len(places):
        return
    row, column = np.unravel_index(dice.choice(places), mask.shape)
    shape = _blob(dice, y, x, y[row, 0], x[0, column], radius, 0.16)
    inside = (shape > 0) & (liver > 0)
    if dice.random() < 0.5:
        grain = 0.07 * ndimage.zoom(dice.normal(size=(16, 16)), len(mask) / 16, order=1)[: len(mask), : len(mask)]
        image[:] = _lay(image, 0.44 + dice.uniform(-0.02, 0.02) + grain, shape, 0.022)
        mask[inside] = 1
    else:
        image[:] = _lay(image, 0.27 + dice.uniform(-0.03, 0.03), shape, 0.006)
        mask[inside] = 2


def _blob(dice: np.random.Generator, y: np.ndarray, x: np.ndarray, cy: float, cx: float, radius: float, uneven: float) -> np.ndarray:
    """Positive inside a round shape with a wavy outline; about the distance to it, in sides."""
    angle, far = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx)
    edge = np.full_like(far, radius)
    for k in (2, 3, 4):
        edge += radius * uneven * dice.normal() * np.cos(k * angle + dice.uniform(0, 2 * np.pi)) * 2 / k
    return edge - far


def _soft(distance: np.ndarray, width: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(4 * distance / width, -30, 30)))


def _lay(image: np.ndarray, value: np.ndarray | float, shape: np.ndarray, width: float) -> np.ndarray:
    cover = _soft(shape, width)
    return image * (1 - cover) + value * cover
