"""Made-up abdominal CT slices with up to four liver lesions, drawn so that a phrase is needed to know which one is meant. No patient, no clinical truth.

Sides are the patient's, seen from the feet: the patient's right is the picture's left. A lesion has a size, a density, a lobe and a part, each with two
values; the middle between two values is kept empty, so that a word is never a matter of taste.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZES, DENSITIES = ("small", "large"), ("hypodense", "hyperdense")
LOBES, PARTS = ("right", "left"), ("upper", "lower")
FIELD_MM = 256.0
"""Width and height of the picture."""
_RADIUS = {"small": (0.034, 0.046), "large": (0.072, 0.095)}
"""Of the picture's side."""
_GREY = {"hypodense": (0.22, 0.34), "hyperdense": (0.72, 0.84)}
_LIVER = 0.52
_GAP = 0.025
_COUNTS = (0.06, 0.1, 0.24, 0.3, 0.3)
"""How often a slice has no lesion, one, two, three and four."""
_ALIKE = 0.5
"""Share of slices whose lesions are all of one size. Without them a network reads "the large lesion" as the largest one: that fits nearly every slice of
mixed sizes, and where all are small it outlined them all the same (right for 1 of 9 such phrases after 10,000 steps, for 9 of 10 with them after 3,000)."""
_TRIES = 60


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion and the words that fit it."""

    mask: NDArray[np.bool_]
    """(S, S)."""
    size: str
    density: str
    lobe: str
    part: str
    centre: tuple[float, float]
    """Row and column of its middle, in 0…1."""

    @property
    def pixels(self) -> int:
        """Its area."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture with everything that is known about it."""

    image: NDArray[np.float32]
    """(S, S) in 0…1."""
    liver: NDArray[np.bool_]
    """(S, S)."""
    lesions: tuple[Lesion, ...]

    def union(self, rows: tuple[int, ...]) -> NDArray[np.bool_]:
        """(S, S): the lesions of these numbers together; empty for none."""
        found = np.zeros(self.image.shape, bool)
        for row in rows:
            found |= self.lesions[row].mask
        return found


def sample(seed: int, side: int = 64, *, lesions: int | None = None, noise: float = 0.05) -> Slice:
    """The slice of a seed. `lesions`: 0 to 4 instead of a number at random; fewer where there is no room. ValueError for other numbers or a side below 32."""
    if side < 32 or (lesions is not None and not 0 <= lesions <= 4):
        raise ValueError(f"A slice has a side of at least 32 pixels and 0 to 4 lesions, not {side} and {lesions}.")
    random = np.random.default_rng([seed, 0x15A5])
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    body = _ellipse(y, x, 0.5, 0.5, 0.43, 0.47)
    # the liver fills the picture's left and reaches over the midline
    tilt, cy, cx = random.uniform(-0.2, 0.1), 0.47 + random.uniform(-0.02, 0.02), 0.43 + random.uniform(-0.02, 0.02)
    liver = _ellipse(y - tilt * (x - cx), x, cy, cx, 0.29 * random.uniform(0.94, 1.06), 0.345 * random.uniform(0.95, 1.05)) & body
    drawn = int(random.choice(len(_COUNTS), p=_COUNTS))
    count = drawn if lesions is None else lesions
    made, grey = _lesions(random, y, x, liver, (cy, cx), count)
    return Slice(_picture(random, y, x, body, liver, made, grey, noise), liver, tuple(made))


def _ellipse(y: NDArray, x: NDArray, cy: float, cx: float, ry: float, rx: float) -> NDArray[np.bool_]:
    return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1


def _lesions(random, y, x, liver, middle: tuple[float, float], count: int) -> tuple[list[Lesion], list[float]]:
    """Lesions apart from each other, each well inside one lobe and one part."""
    made: list[Lesion] = []
    grey: list[float] = []
    taken: list[tuple[float, float, float]] = []
    only = str(random.choice(SIZES)) if random.random() < _ALIKE else ""
    for _ in range(_TRIES):
        if len(made) == count:
            break
        words = [str(random.choice(values)) for values in (SIZES, DENSITIES, LOBES, PARTS)]
        size, density, lobe, part = words
        size = only or size
        radius = random.uniform(*_RADIUS[size])
        down = random.uniform(0.06, 0.24) * (1 if part == "lower" else -1)
        across = random.uniform(0.07, 0.3) * (-1 if lobe == "right" else 1)
        cy, cx = middle[0] + down, middle[1] + across
        if any(np.hypot(cy - oy, cx - ox) < radius + other + _GAP for oy, ox, other in taken):
            continue
        angle, wobble = np.arctan2(y - cy, x - cx), random.uniform(0, 2 * np.pi, 2)
        edge = radius * (1 + 0.08 * np.sin(2 * angle + wobble[0]) + 0.05 * np.sin(3 * angle + wobble[1]))
        mask = np.hypot(y - cy, x - cx) < edge
        if not mask.any() or (mask & ~liver).any():
            continue
        made.append(Lesion(mask, size, density, lobe, part, (float(cy), float(cx))))
        grey.append(float(random.uniform(*_GREY[density])))
        taken.append((cy, cx, radius))
    return made, grey


def _picture(random, y, x, body, liver, lesions, grey, noise: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter  # a page that names this room loads no SciPy

    side = y.shape[0]
    image = np.full(y.shape, 0.04)
    image[body] = 0.3 + random.uniform(-0.03, 0.03)
    spine = _ellipse(y, x, 0.8, 0.5, 0.07, 0.065)
    image[spine] = 0.92
    spleen = _ellipse(y, x, 0.52, 0.83, 0.13, 0.07) & body
    image[spleen] = 0.47
    texture = gaussian_filter(random.normal(size=y.shape), side * 0.02)
    image[liver] = (_LIVER + 0.03 * texture / (texture.std() + 1e-9))[liver]
    for _ in range(5):  # vessels: thin, brighter, never as large as a lesion
        vy, vx, lean = random.uniform(0.3, 0.65), random.uniform(0.2, 0.65), random.uniform(-1, 1)
        line = np.abs((y - vy) - lean * (x - vx)) < 0.007
        image[line & liver & (np.hypot(y - vy, x - vx) < 0.09)] += 0.1
    for lesion, value in zip(lesions, grey, strict=True):
        image[lesion.mask] = value
    image = gaussian_filter(image, 0.6 * side / 64) * (1 + random.uniform(-0.06, 0.06) * (x - 0.5))
    return np.clip(image + random.normal(0, noise, y.shape), 0, 1).astype(np.float32)
