"""Retina-OCT-like phantom: a layered band with a pit, drowned in speckle, with three kinds of fluid. No patient, no clinical truth.

Signs (inferred, for demonstration; spec §8):
- IRF, fluid within the retina: small dark ellipses between its inner and outer layers;
- SRF, fluid under the retina: a dark flat lens that lies on the bright pigment line;
- PED, the pigment line lifted: a dim dome under it, the line running over the top.
Each is there in half of the pictures, whatever the others do; a picture's labels are "any pixel of that kind", as in RETOUCH. Dark streaks of
vessels and dark patches of the outer nuclear layer look a little like fluid and are none.

Same seed and side: same picture, bit for bit. Legend: S side, columns x and rows y in 0…1 of the picture, d depths in the same unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

STRUCTURES = ("IRF", "SRF", "PED")
NAMES = ("intraretinal fluid", "subretinal fluid", "pigment epithelial detachment")
FIELD_MM = (2.0, 6.0)
"""Height and width of the picture."""
PRESENT = 0.5
SPECKLE = 0.34
"""Standard deviation of the speckle's logarithm: as strong as the layers' own contrast."""
_KEY = 71  # keeps this family's random numbers apart from other phantoms'
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scan:
    """One made-up B-scan."""

    image: NDArray[np.float32]
    """(S, S) in 0…1."""
    mask: NDArray[np.int64]
    """(S, S): 0 nothing, then the number of the structure, from 1."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(3,): 1 where the structure has a pixel."""
        return np.array([(self.mask == number).any() for number in (1, 2, 3)], dtype=np.int64)


def sample(seed: int, side: int = 96, *, size: float | None = None, want: Sequence[bool] | None = None) -> Scan:
    """One scan. `size` 0…1 makes all lesions that large in their range, `want` says which structures there are; None draws both.

    ValueError for a side outside 32…1024 or a size outside 0…1.
    """
    if not 32 <= side <= 1024 or (size is not None and not 0 <= size <= 1):
        raise ValueError(f"An OCT-like phantom has 32 to 1024 pixels a side and lesions of size 0 to 1, not {side} and {size}.")
    random = np.random.default_rng([_KEY, seed])
    present = random.random(3) < PRESENT
    wanted = present if want is None else np.asarray(want, dtype=bool)
    at = (np.arange(side) + 0.5) / side
    y, x = at[:, None], at[None, :]  # S 1 and 1 S
    inner, outer = _borders(random, at)
    dome = _dome(random, x, size) * wanted[2]
    lifted = outer - dome
    lens = _lens(random, x, size) * wanted[1]
    mask = np.zeros((side, side), dtype=np.int64)
    mask[(y > lifted + 0.012) & (y < outer) & (dome > 0.012)] = 3
    mask[(y > lifted - 0.014 - lens) & (y < lifted - 0.014) & (lens > 0.008)] = 2
    floor = lifted - 0.014 - lens  # what is left of the retina ends here
    cysts = _cysts(random, y, x, inner, floor, size)
    if wanted[0]:
        mask[cysts & (mask == 0)] = 1
    brightness = _tissue(random, y, x, inner, floor, lifted, outer)
    brightness = np.where(mask == 1, 0.07, np.where(mask == 2, 0.06, np.where(mask == 3, 0.17, brightness)))
    return Scan(_as_seen(random, brightness, x), mask)


def _borders(random: np.random.Generator, x: Array) -> tuple[Array, Array]:
    """Rows of the inner limiting membrane and of the pigment line, (1, S) each."""
    top, thick = random.uniform(0.16, 0.28), random.uniform(0.38, 0.48)
    tilt, bow = random.uniform(-0.1, 0.1), random.uniform(0.0, 0.12)
    waves = random.normal(0, 0.006, 3)
    centre, depth, width = random.uniform(0.35, 0.65), random.uniform(0.08, 0.16), random.uniform(0.07, 0.13)
    phase = random.uniform(0, 2 * np.pi, 3)
    line = (
        tilt * (x - 0.5)
        - bow * (x - 0.5) ** 2 * 2
        + sum(a * np.sin(2 * np.pi * (k + 1) * x + p) for k, (a, p) in enumerate(zip(waves, phase, strict=True)))
    )
    pit = depth * np.exp(-(((x - centre) / width) ** 2))
    return (top + line + pit)[None], (top + thick + line)[None]


def _dome(random: np.random.Generator, x: Array, size: float | None) -> Array:
    """Height of the detachment over each column."""
    centre, share, width = random.uniform(0.2, 0.8), random.random(), random.random()
    share = share if size is None else size
    height, half = 0.055 + 0.1 * share, 0.055 + 0.065 * share + 0.03 * width
    return height * np.clip(1 - ((x - centre) / half) ** 2, 0, None) ** 0.6


def _lens(random: np.random.Generator, x: Array, size: float | None) -> Array:
    """Height of the fluid under the retina over each column."""
    centre, share, width = random.uniform(0.2, 0.8), random.random(), random.random()
    share = share if size is None else size
    height, half = 0.04 + 0.06 * share, 0.07 + 0.08 * share + 0.04 * width
    return height * np.clip(1 - ((x - centre) / half) ** 2, 0, None)


def _cysts(random: np.random.Generator, y: Array, x: Array, inner: Array, floor: Array, size: float | None) -> NDArray[np.bool_]:
    """One to three ellipses between the inner and outer layers."""
    count = random.integers(1, 4)
    found = np.zeros((y.shape[0], x.shape[1]), dtype=bool)
    draws = random.random((3, 5))
    for cx, share, deep, flat, lean in draws[:count]:
        share = share if size is None else size
        column = 0.12 + 0.76 * cx
        place = int(column * x.shape[1])
        top, bottom = inner[0, place], floor[0, place]
        row = top + (0.3 + 0.35 * deep) * (bottom - top)
        ry = (0.024 + 0.04 * share) * (0.8 + 0.5 * flat)
        rx = (0.02 + 0.034 * share) * (0.8 + 0.5 * (1 - flat))
        ry = min(ry, 0.3 * (bottom - top))
        dx, dy = x - column, y - row - (lean - 0.5) * 0.2 * (x - column)
        found |= (dx / rx) ** 2 + (dy / ry) ** 2 < 1
    return found


def _tissue(random: np.random.Generator, y: Array, x: Array, inner: Array, floor: Array, lifted: Array, outer: Array) -> Array:
    """Brightness without lesions and speckle: vitreous, layers by relative depth, pigment line, choroid."""
    u = (y - inner) / np.maximum(floor - inner, 0.05)
    edges, levels = (0.0, 0.12, 0.34, 0.45, 0.53, 0.8, 0.87), (0.62, 0.42, 0.27, 0.44, 0.22, 0.5, 0.4)
    shown = np.full(np.broadcast_shapes(y.shape, x.shape), 0.05)
    for edge, level in zip(edges, levels, strict=True):
        shown = np.where(u >= edge + random.normal(0, 0.012), level * random.uniform(0.88, 1.12), shown)
    side = shown.shape[0]
    patches = gaussian_filter(random.normal(size=shown.shape), (side * 0.015, side * 0.05))
    patches /= patches.std() + 1e-9
    shown = np.where((u > 0.5) & (u < 0.82), shown * np.exp(0.28 * patches), shown)  # thin and thick spots of the outer nuclear layer
    below = y - lifted
    choroid = (0.34 + 0.1 * patches) * np.exp(-np.clip(y - outer, 0, None) * 4.5)
    shown = np.where(u >= 1, np.where(y > outer, choroid, 0.3), shown)
    return np.where(np.abs(below) < 0.014, 0.85, shown)


def _as_seen(random: np.random.Generator, brightness: Array, x: Array) -> NDArray[np.float32]:
    """The picture: vessels' shadows, blur of the optics, speckle, uneven gain."""
    side = brightness.shape[0]
    shadow = np.ones_like(x)
    for centre, width, dark in random.random((4, 3)):
        shadow = shadow - (0.15 + 0.35 * dark) * np.exp(-(((x - centre) / (0.006 + 0.012 * width)) ** 2))
    gain = random.uniform(0.85, 1.15) * (1 + random.uniform(-0.25, 0.25) * (x - 0.5))
    blurred = gaussian_filter(brightness, (0.5 * side / 96, 0.6 * side / 96)) * np.clip(shadow, 0.25, 1) * gain
    grain = gaussian_filter(random.normal(size=brightness.shape), (0.35 * side / 96, 0.55 * side / 96))
    grain *= SPECKLE / (grain.std() + 1e-9)
    dust = random.normal(0, 0.025, brightness.shape)
    return np.clip(blurred * np.exp(grain) + dust + 0.02, 0, 1).astype(np.float32)
