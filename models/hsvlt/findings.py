"""Made-up chest pictures with none to five of eight findings whose sizes span the scales, drawn with masks. No patient, no clinical truth.

Left and right are the picture's. Findings go together as the table `TOGETHER` says (fluid with a large heart, fine dots with fine lines), so that a
network may learn the company a finding keeps; ribs and vessels are there in every picture and mean nothing. `size` of a finding scales its drawing, for
the experiment that grows and shrinks it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FINDINGS = ("micronodules", "reticular pattern", "small nodule", "cavity", "band", "large mass", "pleural effusion", "enlarged heart")
WORDS: Mapping[str, str] = {
    "micronodules": "many dots of two or three pixels",
    "reticular pattern": "a fine net of lines in one lung",
    "small nodule": "one round spot",
    "cavity": "a ring with a dark middle",
    "band": "a straight line across a lung",
    "large mass": "one large round shadow",
    "pleural effusion": "fluid that fills a lung from below, with a level",
    "enlarged heart": "a heart wider than half the chest",
}
BUCKETS: Mapping[str, tuple[str, ...]] = {
    "smallest": ("micronodules", "reticular pattern"),
    "small": ("small nodule", "band"),
    "middle": ("cavity", "large mass"),
    "largest": ("pleural effusion", "enlarged heart"),
}
"""Findings by the size of what there is to see."""
ALONE = 0.2
TOGETHER: Mapping[tuple[str, str], float] = {("pleural effusion", "enlarged heart"): 0.55, ("micronodules", "reticular pattern"): 0.45}
"""How often the second is there given the first; otherwise ALONE."""
MOST = 5


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with everything that is known about it."""

    image: NDArray[np.float32]
    """(S, S) in 0…1."""
    present: tuple[bool, ...]
    """In the order of FINDINGS."""
    masks: NDArray[np.bool_]
    """(8, S, S): where each finding is; empty for what is absent."""

    @property
    def names(self) -> tuple[str, ...]:
        """The findings that are there."""
        return tuple(name for name, there in zip(FINDINGS, self.present, strict=True) if there)


def sample(seed: int, side: int = 64, *, findings: Sequence[str] | None = None, size: float = 1.0, noise: float = 0.03) -> Picture:
    """The picture of a seed. findings: these and no others; size: of every finding, 0.4 to 2.5. ValueError for what cannot be drawn."""
    if side < 32 or not 0.4 <= size <= 2.5:
        raise ValueError(f"A picture has a side of at least 32 pixels and findings of 0.4 to 2.5 times their size, not {side} and {size}.")
    strangers = set(findings or ()) - set(FINDINGS)
    if strangers:
        raise ValueError(f"There is no finding called {', '.join(sorted(strangers))}; there are {', '.join(FINDINGS)}.")
    random = np.random.default_rng([seed, 0xF1D])
    drawn = _drawn(random)
    there = drawn if findings is None else frozenset(findings)
    return _Drawing(random, side, size).picture(there, noise)


def _drawn(random: np.random.Generator) -> frozenset[str]:
    found: list[str] = []
    for name in FINDINGS:
        given = next((share for (first, second), share in TOGETHER.items() if second == name and first in found), ALONE)
        if random.random() < given and len(found) < MOST:
            found.append(name)
    return frozenset(found)


class _Drawing:
    """One picture while it is drawn; lengths are shares of its side."""

    def __init__(self, random: np.random.Generator, side: int, size: float) -> None:
        self.random, self.side, self.size = random, side, size
        self.y, self.x = ((axis + 0.5) / side for axis in np.ogrid[:side, :side])  # (S, 1) and (1, S): sums of them broadcast
        uniform = random.uniform
        self.lungs = [
            (uniform(0.44, 0.48), centre + uniform(-0.01, 0.01), uniform(0.29, 0.33), uniform(0.145, 0.165)) for centre in (0.29, 0.71)
        ]
        self.inside = [self._ellipse(*lung) for lung in self.lungs]

    def picture(self, there: frozenset[str], noise: float) -> Picture:
        from scipy.ndimage import gaussian_filter  # here, as the page reads the findings' names while it is built

        image = self._chest(large="enlarged heart" in there)
        masks = np.zeros((len(FINDINGS), self.side, self.side), bool)
        masks[7] = self.heart if "enlarged heart" in there else False
        # every finding draws from a stream of its own, so that one more or less moves nothing else
        streams = self.random.spawn(len(FINDINGS))
        for number, (name, random) in enumerate(zip(FINDINGS, streams, strict=True)):
            if name in there and name != "enlarged heart":
                change, masks[number] = getattr(self, "_" + name.replace(" ", "_"))(random)
                image = image + change
        image = gaussian_filter(image, 0.45 * self.side / 64)
        # grain of the same size in the picture whatever its side, so that a large one made small looks like a small one
        grain = gaussian_filter(self.random.normal(size=image.shape), 0.5 * self.side / 64)
        image = np.clip(image + noise * grain / grain.std(), 0, 1)
        return Picture(image.astype(np.float32), tuple(name in there for name in FINDINGS), masks)

    def _ellipse(self, cy: float, cx: float, ry: float, rx: float) -> NDArray[np.bool_]:
        return ((self.y - cy) / ry) ** 2 + ((self.x - cx) / rx) ** 2 < 1

    def _chest(self, *, large: bool) -> NDArray:
        uniform = self.random.uniform
        image = np.full((self.side, self.side), 0.08)
        image[self._ellipse(0.52, 0.5, 0.5, 0.46)] = 0.62
        lungs = self.inside[0] | self.inside[1]
        image[lungs] = 0.26 + uniform(-0.02, 0.02)
        wide, normal = uniform(0.235, 0.275) * max(self.size, 0.6) ** 0.5, uniform(0.125, 0.155)
        self.heart = self._ellipse(0.63, 0.53, 0.155, wide if large else normal)
        image[self.heart] = 0.6
        for rib in np.linspace(0.2, 0.72, 6) + uniform(-0.02, 0.02):
            arc = np.abs(self.y - rib - 0.22 * (self.x - 0.5) ** 2) < 0.009
            image[arc & lungs] += 0.08
        for cx, lean in ((0.4, -1), (0.6, 1)):
            near = lungs & self._disc(0.5, cx, 0.16)
            for _ in range(3):
                slope = lean * uniform(-0.9, 0.9)
                vessel = np.abs(self.y - 0.5 - slope * (self.x - cx)) < 0.006
                image[vessel & near] += 0.09
        return image * (1 + uniform(-0.05, 0.05) * (self.x - 0.5))

    def _spot(self, random: np.random.Generator, margin: float) -> tuple[float, float]:
        """A place in a lung, `margin` away from its edge and off the heart where that goes."""
        cy, cx, ry, rx = self.lungs[int(random.integers(2))]
        angle, reach = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0, 1))
        return cy - 0.04 + reach * max(ry - margin, 0.02) * 0.8 * np.sin(angle), cx + reach * max(rx - margin, 0.01) * np.cos(angle)

    def _disc(self, cy: float, cx: float, radius: float) -> NDArray[np.bool_]:
        disc = np.zeros((self.side, self.side), bool)
        rows, columns = (
            slice(max(0, int((c - radius) * self.side)), int((c + radius) * self.side) + 1) for c in (cy, cx)
        )  # all that it can reach
        disc[rows, columns] = np.hypot(self.y[rows] - cy, self.x[:, columns] - cx) < radius
        return disc

    def _micronodules(self, random: np.random.Generator):
        mask = np.zeros((self.side, self.side), bool)
        for _ in range(int(random.integers(14, 24))):
            mask |= self._disc(*self._spot(random, 0.03), random.uniform(0.013, 0.018) * self.size)
        return 0.3 * mask, mask

    def _reticular_pattern(self, random: np.random.Generator):
        cy, cx = self._spot(random, 0.08)
        where = self._disc(cy, cx, 0.13 * self.size) & (self.inside[0] | self.inside[1])
        step, angle = random.uniform(0.04, 0.048), random.uniform(0, np.pi)
        u, v = (self.x * np.cos(a) + self.y * np.sin(a) for a in (angle, angle + np.pi / 2))
        lines = (np.mod(u, step) < 0.014) | (np.mod(v, step) < 0.014)
        return 0.16 * (lines & where), where

    def _small_nodule(self, random: np.random.Generator):
        mask = self._disc(*self._spot(random, 0.05), random.uniform(0.03, 0.04) * self.size)
        return 0.3 * mask, mask

    def _cavity(self, random: np.random.Generator):
        cy, cx = self._spot(random, 0.08)
        radius = random.uniform(0.065, 0.08) * self.size
        outer, inner = self._disc(cy, cx, radius), self._disc(cy, cx, 0.62 * radius)
        return 0.3 * (outer & ~inner) - 0.1 * inner, outer

    def _band(self, random: np.random.Generator):
        cy, cx = self._spot(random, 0.06)
        angle = random.uniform(-0.5, 0.5)
        along, across = (
            (self.x - cx) * np.cos(angle) + (self.y - cy) * np.sin(angle),
            (self.y - cy) * np.cos(angle) - (self.x - cx) * np.sin(angle),
        )
        mask = (np.abs(across) < 0.0125) & (np.abs(along) < 0.105 * self.size)
        return 0.25 * mask, mask

    def _large_mass(self, random: np.random.Generator):
        mask = self._disc(*self._spot(random, 0.12), random.uniform(0.105, 0.13) * self.size)
        return 0.26 * mask, mask

    def _pleural_effusion(self, random: np.random.Generator):
        number = int(random.integers(2))
        cy, _, ry, _ = self.lungs[number]
        level = cy + ry - random.uniform(0.12, 0.2) * self.size
        tilt = 0.12 * (1 if number else -1) * (self.x - self.lungs[number][1])
        mask = self.inside[number] & (self.y > level + tilt)
        return 0.33 * (mask & ~self.heart), mask  # behind the heart nothing more is seen
