"""From a mask to what a report needs: every lesion's area and diameters, in millimetres where the spacing is known, else in pixels.

A pixel counts with its whole square, so that a single one has an area and a diameter. The longest diameter runs between the two corners farthest
apart; "across" is the extent at a right angle to it. Legend: H × W pixels, spacing (row, column) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float]


@dataclass(frozen=True)
class Lesion:
    """One connected region of a mask; lengths in `unit`, areas in its square."""

    structure: int
    """Its number, from 1."""
    pixels: int
    area: float
    equivalent: float
    """Diameter of the circle of the same area."""
    longest: float
    ends: tuple[tuple[float, float], tuple[float, float]]
    """Row and column of the longest diameter's ends, in pixels; 0, 0 is the upper left corner of the picture."""
    across: float
    centre: tuple[float, float]
    """Row and column of the centre of mass, in pixels."""
    unit: str
    """"mm" or "px"."""


def measure(mask: NDArray[np.bool_], spacing_mm: Spacing | None = None, *, structure: int = 1, at_least_px: int = 1) -> tuple[Lesion, ...]:
    """The lesions of a mask (H, W), the largest first; touching corners count as connected. ValueError for a spacing that is not positive."""
    from scipy.ndimage import find_objects, label

    if spacing_mm is not None and not (np.isfinite(spacing_mm).all() and min(spacing_mm) > 0):
        raise ValueError(f"A pixel spacing is two positive numbers of millimetres, not {spacing_mm}.")
    numbers, _ = label(mask, structure=np.ones((3, 3)))
    found = []
    for number, box in enumerate(find_objects(numbers), start=1):
        inside = numbers[box] == number
        if inside.sum() >= at_least_px:
            found.append(_lesion(inside, (box[0].start, box[1].start), spacing_mm, structure))
    return tuple(sorted(found, key=lambda one: -one.pixels))


def _lesion(inside: NDArray[np.bool_], corner: tuple[int, int], spacing_mm: Spacing | None, structure: int) -> Lesion:
    scale = np.array(spacing_mm or (1.0, 1.0))
    pixels = np.argwhere(inside) + corner  # n 2
    area = len(pixels) * float(scale.prod())
    hull = _hull(pixels, scale)  # corners in pixels
    length = np.linalg.norm((hull[:, None] - hull[None]) * scale, axis=-1)
    one, other = np.unravel_index(length.argmax(), length.shape)
    along = (hull[other] - hull[one]) * scale
    normal = np.array([-along[1], along[0]]) / length.max()
    reach = (hull * scale) @ normal
    return Lesion(
        structure=structure,
        pixels=len(pixels),
        area=area,
        equivalent=float(2 * np.sqrt(area / np.pi)),
        longest=float(length.max()),
        ends=(tuple(map(float, hull[one])), tuple(map(float, hull[other]))),
        across=float(np.ptp(reach)),
        centre=tuple(map(float, pixels.mean(axis=0) + 0.5)),
        unit="px" if spacing_mm is None else "mm",
    )


def _hull(pixels: NDArray[np.int64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of the pixels' squares that lie on their convex hull, (m, 2)."""
    from scipy.spatial import ConvexHull

    corners = np.unique(np.concatenate([pixels + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]), axis=0).astype(np.float64)
    return corners[ConvexHull(corners * scale).vertices]
