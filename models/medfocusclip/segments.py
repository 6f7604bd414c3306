"""What a mask provider hands out: one record for each segment, whoever found it. NumPy alone.

Axes: K segments, H rows, W columns. Coordinates are pixel indices (x, y) of the picture as given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Source = Literal["sam2", "classical", "user", "truth"]
BORDER_SHARE = 0.45
"""A segment that fills this part of the picture's outermost pixels counts as background."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One region of a picture."""

    mask: np.ndarray
    """(H, W) bool."""
    area: int
    """Pixels in the mask."""
    score: float
    """The finder's own guess of how well it fits (SAM 2: predicted intersection over union), 0 to 1."""
    stability: float
    """Intersection over union of the region cut a little tighter and a little looser, 0 to 1."""
    point: tuple[int, int] | None
    """(x, y) it grew from, where there was such a point."""
    source: Source

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1, the last ones included; all 0 for an empty mask."""
        ys, xs = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return (int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])) if len(xs) else (0, 0, 0, 0)

    @property
    def key(self) -> str:
        """Short hash of the mask: the same region always has the same key."""
        return hashlib.sha256(np.packbits(self.mask).tobytes() + str(self.mask.shape).encode()).hexdigest()[:16]

    @property
    def background(self) -> bool:
        """Whether it lies along much of the picture's border, as the empty space around a body does."""
        edge = np.concatenate([self.mask[0], self.mask[-1], self.mask[1:-1, 0], self.mask[1:-1, -1]])
        return bool(edge.mean() >= BORDER_SHARE)


def make_segment(
    mask: np.ndarray, *, score: float = 1.0, stability: float = 1.0, point: tuple[int, int] | None = None, source: Source = "user"
) -> Segment:
    """A segment from its mask (H, W), any type that tells inside from outside."""
    inside = np.ascontiguousarray(mask, dtype=bool)
    return Segment(inside, int(inside.sum()), float(score), float(stability), point, source)


def foreground(segments: Sequence[Segment]) -> list[int]:
    """Numbers of the segments that are not empty and not background."""
    return [number for number, segment in enumerate(segments) if segment.area and not segment.background]


def union(segments: Sequence[Segment], shape: tuple[int, int]) -> np.ndarray:
    """Where any of them is: (H, W) bool, all False for none."""
    return np.logical_or.reduce([np.zeros(shape, bool), *(segment.mask for segment in segments)])
