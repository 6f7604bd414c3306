"""From a slide to what the network sees: nested views around a spot, cut from rasters that are read once.

A view of level k is FIELD_UM · 2ᵏ wide and arrives as `side` pixels. It is cut from a raster of the slide that is OVER times finer, on a lattice fixed
to the slide's corner, and averaged down; so a spot gives the same pixels whether it is asked for alone or with a thousand others. The raster is
read in square blocks, kept while they are needed: a region's spots share them, and memory does not grow with the slide.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np

from models.shared.slides import SlideSource

FIELD_UM = 112.0
"""Width of the closest view: the paper's 224 px at 0.5 µm."""
SIDE = 32
"""Pixels a view of the shipped networks."""
OVER = 2
BLOCK = 64
"""Raster pixels a side that are read at once: as wide as a view, so that spots far from each other drag little along that nobody needs."""
KEPT_BLOCKS = 3072
"""Per reader: 38 MB."""
WHITE = 255


class Views:
    """Cuts views from one slide. Thread-safe as far as its source is."""

    def __init__(self, source: SlideSource, *, mpp: float | None = None, side: int = SIDE, field_um: float = FIELD_UM) -> None:
        """mpp: µm per level-0 pixel where the file does not say, or says it wrongly. ValueError with a sentence when nobody knows."""
        mpp = mpp or source.mpp
        if not mpp:
            raise ValueError(
                "The size of a pixel is not known for this slide, so nobody can say how wide a view is; give it in µm a pixel."
            )
        self.source, self.side, self.field_px = source, side, field_um / mpp
        self._blocks: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def cut(self, xy: np.ndarray, levels: Sequence[int]) -> list[np.ndarray]:
        """For centres (N, 2) in level-0 pixels: one uint8 (N, side, side, 3) per level."""
        return [self._cut(xy, level) for level in levels]

    def box(self, x: float, y: float, level: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of a view in level-0 pixels."""
        width = self.field_px * 2**level
        return (x - width / 2, y - width / 2, width, width)

    def _cut(self, xy: np.ndarray, level: int) -> np.ndarray:
        wide = self.side * OVER
        pitch = self.field_px * 2**level / wide
        corners = np.rint((np.asarray(xy, np.float64) - self.field_px * 2**level / 2) / pitch).astype(int)
        made = np.empty((len(xy), self.side, self.side, 3), np.uint8)
        for n, (left, top) in enumerate(corners):
            made[n] = _quartered(self._part(level, pitch, left, top, wide))
        return made

    def _part(self, level: int, pitch: float, left: int, top: int, wide: int) -> np.ndarray:
        """(wide, wide, 3) of a level's raster from the blocks it lies in."""
        made = np.empty((wide, wide, 3), np.uint8)
        for row in range(top // BLOCK, (top + wide - 1) // BLOCK + 1):
            for column in range(left // BLOCK, (left + wide - 1) // BLOCK + 1):
                y0, y1 = max(top, row * BLOCK), min(top + wide, (row + 1) * BLOCK)
                x0, x1 = max(left, column * BLOCK), min(left + wide, (column + 1) * BLOCK)
                block = self._block(level, pitch, column, row)
                made[y0 - top : y1 - top, x0 - left : x1 - left] = block[
                    y0 - row * BLOCK : y1 - row * BLOCK, x0 - column * BLOCK : x1 - column * BLOCK
                ]
        return made

    def _block(self, level: int, pitch: float, column: int, row: int) -> np.ndarray:
        key = (level, column, row)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        x0, x1, y0, y1 = (round(number * BLOCK * pitch) for number in (column, column + 1, row, row + 1))
        if x1 <= 0 or y1 <= 0 or x0 >= self.source.width or y0 >= self.source.height:
            block = np.full((BLOCK, BLOCK, 3), WHITE, np.uint8)
        else:
            block = self.source.read(x0, y0, x1 - x0, y1 - y0, out=(BLOCK, BLOCK))
        with self._lock:
            self._blocks[key] = block
            while len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return block


def _quartered(part: np.ndarray) -> np.ndarray:
    """Means of OVER × OVER pixels, rounded half up; uint8 in and out. Sums of slices are several times faster than NumPy's mean over two axes."""
    total = np.zeros((part.shape[0] // OVER, part.shape[1] // OVER, 3), np.uint16)
    for row in range(OVER):
        for column in range(OVER):
            total += part[row::OVER, column::OVER]
    return ((total + OVER * OVER // 2) // (OVER * OVER)).astype(np.uint8)


def in_order(xy: np.ndarray, step: float) -> np.ndarray:
    """Places (N,) of the spots in an order in which neighbours follow each other: squares of `step`, row by row, so that blocks are read once."""
    cells = np.floor(np.asarray(xy) / max(step, 1e-9)).astype(int)
    return np.lexsort((xy[:, 0], xy[:, 1], cells[:, 0], cells[:, 1]))
