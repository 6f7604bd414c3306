"""Short-axis heart-slice phantom: a bright pool in a dim ring (left ventricle, myocardium) and a crescent beside it (right ventricle).

No patient, no clinical truth. Harder than an easy phantom on purpose, so that few labelled slices are not enough: the muscle is hardly brighter than
what lies around it, parts of its outer border are missing, papillary muscles darken the pool, bright round distractors lie about, a bias field and
grain lie over everything, and grey levels and shapes differ from slice to slice (inferred; spec §8 gives the idea).

Same seed and side: same picture, bit for bit, with 256 grey levels. Legend: S side, rows y and columns x in 0…1 of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

FIELD_MM = 128.0
"""Side of the made-up field of view."""
_KEY = 83  # keeps this family's random numbers apart from other phantoms'
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Slice:
    """One made-up slice."""

    image: NDArray[np.uint8]
    """(S, S)."""
    mask: NDArray[np.uint8]
    """(S, S): 0 nothing, then the number of the structure, from 1."""


def sample(seed: int, side: int = 64, *, difficulty: float = 1.0) -> Slice:
    """One slice; `difficulty` 0…1 goes from clear borders to the studies' ones. ValueError for a side outside 32…512 or another difficulty."""
    if not 32 <= side <= 512 or not 0 <= difficulty <= 1:
        raise ValueError(f"A heart-slice phantom has 32 to 512 pixels a side and a difficulty of 0 to 1, not {side} and {difficulty}.")
    random = np.random.default_rng([_KEY, seed])
    at = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(at, at, indexing="ij")
    geometry = _Geometry(random)
    mask = geometry.mask(y, x)
    shown = _tissue(random, geometry, mask, y, x, difficulty)
    return Slice(_as_seen(random, shown, y, x, difficulty), mask)


class _Geometry:
    """Where the ventricles lie: borders as radii by angle around the left ventricle's centre."""

    def __init__(self, random: np.random.Generator) -> None:
        self.centre = 0.5 + random.uniform(-0.09, 0.09, 2)
        self.pool = random.uniform(0.065, 0.15)
        self.wall = random.uniform(0.04, 0.075)
        self.flat = random.uniform(0.86, 1.16)
        self.waves = random.normal(0, 1, (2, 4)) * np.array([0.03, 0.025, 0.02, 0.02])
        self.phases = random.uniform(0, 2 * np.pi, (2, 4))
        self.rv_angle = np.pi + random.uniform(-0.7, 0.7)  # to the picture's left
        self.rv_half = random.uniform(0.75, 1.15)
        self.rv_deep = random.uniform(0.07, 0.16)
        self.rv_lean = random.uniform(-0.35, 0.35)

    def polar(self, y: Array, x: Array) -> tuple[Array, Array]:
        """Radius and angle of every pixel around the left ventricle's centre."""
        dy, dx = (y - self.centre[0]) * self.flat, (x - self.centre[1]) / self.flat
        return np.hypot(dy, dx), np.arctan2(dy, dx)

    def radii(self, angle: Array) -> tuple[Array, Array]:
        """Inner and outer border of the muscle at each angle."""
        ripple = [
            1 + sum(a * np.sin((k + 1) * angle + p) for k, (a, p) in enumerate(zip(waves, phases, strict=True)))
            for waves, phases in zip(self.waves, self.phases, strict=True)
        ]
        inner = self.pool * ripple[0]
        return inner, inner + self.wall * ripple[1]

    def mask(self, y: Array, x: Array) -> NDArray[np.uint8]:
        """(S, S): structure numbers."""
        radius, angle = self.polar(y, x)
        inner, outer = self.radii(angle)
        away = np.angle(np.exp(1j * (angle - self.rv_angle)))
        share = np.clip(1 - (away / self.rv_half) ** 2, 0, None)
        depth = self.rv_deep * share**0.8 * (1 + self.rv_lean * away)
        made = np.zeros(y.shape, dtype=np.uint8)
        made[(radius >= outer) & (radius < outer + depth) & (depth > 0.015)] = 1
        made[(radius >= inner) & (radius < outer)] = 2
        made[radius < inner] = 3
        return made


def _tissue(random: np.random.Generator, geometry: _Geometry, mask: NDArray[np.uint8], y: Array, x: Array, difficulty: float) -> Array:
    """Brightness without grain: surroundings, distractors, muscle, pools, papillary muscles."""
    side = mask.shape[0]
    around = random.uniform(0.2, 0.36)
    texture = gaussian_filter(random.normal(size=mask.shape), side * 0.06)
    texture /= texture.std() + 1e-9
    shown = around + (0.02 + 0.05 * difficulty) * texture
    for cy, cx, size, level in random.random((5, 4)):  # vessels, stomach, spine: as bright as a pool
        radius = 0.03 + 0.07 * size
        inside = np.hypot(y - cy, x - cx) < radius
        shown = np.where(inside, around + (level - 0.35) * 0.55, shown)
    muscle = around + random.choice([-1.0, 1.0]) * (0.13 - 0.09 * difficulty) * random.uniform(0.7, 1.3)
    blood = random.uniform(0.5, 0.72)
    right = blood * random.uniform(1 - 0.25 * difficulty, 1.0)
    levels = np.array([0.0, right, muscle, blood])
    shown = np.where(mask > 0, levels[mask], shown)
    radius, angle = geometry.polar(y, x)
    inner, outer = geometry.radii(angle)
    for number, draw in enumerate(random.random((2, 3))):  # papillary muscles
        towards = geometry.rv_angle + np.pi + (number - 0.5) * (1.0 + draw[0])
        dot = np.hypot(radius * np.cos(angle) - 0.62 * inner * np.cos(towards), radius * np.sin(angle) - 0.62 * inner * np.sin(towards))
        shown = np.where((dot < inner * (0.14 + 0.12 * draw[1])) & (mask == 3), muscle + 0.1 * draw[2], shown)
    gaps = random.uniform(0, 2 * np.pi, 3)
    for gap in gaps:  # where the muscle's outer border cannot be seen
        near = np.exp(-((np.angle(np.exp(1j * (angle - gap))) / 0.45) ** 2)) * difficulty
        rim = near * np.exp(-(((radius - outer) / (0.5 * geometry.wall)) ** 2)) * (mask != 1) * (mask != 3)
        shown = shown * (1 - rim) + rim * (0.5 * (around + muscle) + 0.04 * texture)
    return shown


def _as_seen(random: np.random.Generator, shown: Array, y: Array, x: Array, difficulty: float) -> NDArray[np.uint8]:
    """The picture: blur of the camera, bias field, contrast of its own, grain."""
    side = shown.shape[0]
    slope, bend = random.uniform(-0.5, 0.5, 2) * (0.3 + 0.7 * difficulty), random.uniform(-0.4, 0.4) * difficulty
    bias = 1 + slope[0] * (y - 0.5) + slope[1] * (x - 0.5) + bend * ((y - 0.5) ** 2 + (x - 0.5) ** 2 - 1 / 6) * 2
    blurred = gaussian_filter(shown, (0.55 + 0.25 * difficulty) * side / 64) * bias
    gamma, gain = random.uniform(0.75, 1.35), random.uniform(0.75, 1.2)
    seen = gain * np.clip(blurred, 0, None) ** gamma
    grain = gaussian_filter(random.normal(size=shown.shape), 0.4 * side / 64)
    seen = seen + grain / (grain.std() + 1e-9) * (0.02 + 0.045 * difficulty)
    return (np.clip(seen, 0, 1) * 255).round().astype(np.uint8)
