"""What a slide is to everything that reads one: rectangles of level-0 pixels at any scale, never the whole of it.

Level 0 is the finest. All coordinates are level-0 pixels, x to the right, y down, (0, 0) the upper left corner of the scan.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from models.shared.slides.resample import area_average

MAX_OUT_PIXELS = 1 << 28
"""Of one answer; more is asked for in pieces."""
BLOCK_PIXELS = 1 << 24
"""Read at once on the way to a smaller picture: what bounds the memory of a thumbnail, whatever the slide's size."""
SMALLEST_PX = 256
_NEAR = 0.25  # pixels: a rectangle that fits a level's own pixels this well is copied, not resampled


class SlideRefused(ValueError):
    """A slide cannot be opened or read; the text is one plain sentence: what was wrong, what is expected, what to do."""


@runtime_checkable
class SlideSource(Protocol):
    """A slide that is open for reading."""

    width: int
    """Level-0 pixels."""
    height: int
    mpp: float | None
    """µm per level-0 pixel; None when the file does not say."""
    fingerprint: str
    """Hex. The same for the same content; for files above 64 MB it is made from the size and from samples (see `fingerprints`)."""

    def read(self, x: int, y: int, width: int, height: int, *, out: tuple[int, int] | None = None) -> np.ndarray:
        """That level-0 rectangle as uint8 (h, w, 3) RGB, white where it lies outside; `out` = (w, h) of the result, by default its own size.

        Taken from the nearest finer level and area-averaged. Thread-safe. ValueError for an empty or absurd size, SlideRefused when the file
        turns out to be damaged there.
        """

    def close(self) -> None:
        """Let go of the file; readings under way are finished first, later ones refused."""


@dataclass(frozen=True)
class Level:
    """One level of a pyramid. `across` and `down` are level-0 pixels per pixel of it; the tile is how the file stores it."""

    width: int
    height: int
    across: float
    down: float
    tile: tuple[int, int] = (0, 0)


class PyramidSource:
    """What every source shares: picking the level, white outside, averaging, and closing that waits for those who still read.

    A subclass sets the attributes and gives `_pixels` and, where it holds a file, `_shut`.
    """

    width: int
    height: int
    mpp: float | None
    levels: tuple[Level, ...]
    """Finest first."""
    vendor: str = ""
    """Who made the format, in OpenSlide's words; '' for plain pictures."""
    magnification: float | None = None

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._readers, self._closed = 0, False
        self._known: str | None = None

    @property
    def fingerprint(self) -> str:
        """See `SlideSource.fingerprint`; worked out when it is first asked for. SlideRefused when the file cannot be read any more."""
        if self._known is None:
            try:
                self._known = self._identify()
            except OSError as fault:
                raise SlideRefused(
                    f"A file of this slide cannot be read ({fault.strerror}); copy it again, with all files that belong to it."
                ) from None
        return self._known

    def read(self, x: int, y: int, width: int, height: int, *, out: tuple[int, int] | None = None) -> np.ndarray:
        """See `SlideSource.read`."""
        size = (width, height) if out is None else (int(out[0]), int(out[1]))
        if min(width, height, *size) < 1 or size[0] * size[1] > MAX_OUT_PIXELS:
            raise ValueError(
                f"A rectangle of {width} × {height} as {size[0]} × {size[1]} pixels cannot be read; ask for 1 to {MAX_OUT_PIXELS:,}."
            )
        number = self._level_for(min(width / size[0], height / size[1]))
        level = self.levels[number]
        box = (x / level.across, y / level.down, (x + width) / level.across, (y + height) / level.down)
        with self._reading():
            return self._scaled(number, box, size)

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """A rectangle of a level in the level's own pixels, not resampled: uint8 (height, width, 3), white outside. IndexError for no such level."""
        if not 0 <= level < len(self.levels):
            raise IndexError(f"The slide has levels 0 to {len(self.levels) - 1}.")
        if min(width, height) < 1 or width * height > MAX_OUT_PIXELS:
            raise ValueError(f"A rectangle of {width} × {height} pixels cannot be read.")
        with self._reading():
            return self._framed(level, x, y, width, height)

    def close(self) -> None:
        """See `SlideSource.close`. May be called twice."""
        with self._guard:
            idle, self._closed = self._readers == 0 and not self._closed, True
        if idle:
            self._shut()

    def __enter__(self) -> PyramidSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ for subclasses
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """uint8 (height, width, 3) of a rectangle inside the level, in its own pixels."""
        raise NotImplementedError

    def _identify(self) -> str:
        """The fingerprint. May raise OSError."""
        raise NotImplementedError

    def _shut(self) -> None:
        """Let go of the file; called once, when nobody reads."""

    # ------------------------------------------------------------------ inside
    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._guard:
            if self._closed:
                raise SlideRefused("The slide was closed; open it again.")
            self._readers += 1
        try:
            yield
        finally:
            with self._guard:
                self._readers -= 1
                last = self._closed and self._readers == 0
            if last:
                self._shut()

    def _level_for(self, scale: float) -> int:
        """The coarsest level that is not coarser than `scale`; half a percent is forgiven, as levels' sizes are rounded."""
        fine = [number for number, level in enumerate(self.levels) if max(level.across, level.down) <= scale * 1.005]
        return max(fine, key=lambda number: self.levels[number].across, default=0)

    def _scaled(self, number: int, box: tuple[float, float, float, float], out: tuple[int, int]) -> np.ndarray:
        left, top, right, bottom = box
        if abs(right - left - out[0]) < _NEAR and abs(bottom - top - out[1]) < _NEAR:
            return self._framed(number, round(left), round(top), *out)
        level = self.levels[number]
        columns, rows = _touched(left, right, level.width, out[0]), _touched(top, bottom, level.height, out[1])
        if (columns, rows) != ((0, out[0]), (0, out[1])):
            return self._beside_white(number, box, out, columns, rows)
        x, y = floor(left), floor(top)
        width, height = ceil(right) - x, ceil(bottom) - y
        if width * height > BLOCK_PIXELS:
            if max(out) > 1:
                return self._halves(number, box, out)
            finer = 2 * ceil((width * height / BLOCK_PIXELS) ** 0.5)
            return area_average(self._scaled(number, box, (finer, finer)), (0.0, 0.0, finer, finer), out)
        block = self._framed(number, x, y, width, height)
        return area_average(block, (left - x, top - y, right - x, bottom - y), out)

    def _beside_white(
        self, number: int, box: tuple[float, float, float, float], out: tuple[int, int], columns: tuple[int, int], rows: tuple[int, int]
    ) -> np.ndarray:
        """The same where only some columns and rows of the result touch the slide at all."""
        left, top, right, bottom = box
        result = np.full((out[1], out[0], 3), 255, np.uint8)
        if columns[0] < columns[1] and rows[0] < rows[1]:
            across, down = (right - left) / out[0], (bottom - top) / out[1]
            inner = (left + columns[0] * across, top + rows[0] * down, left + columns[1] * across, top + rows[1] * down)
            result[slice(*rows), slice(*columns)] = self._scaled(number, inner, (columns[1] - columns[0], rows[1] - rows[0]))
        return result

    def _halves(self, number: int, box: tuple[float, float, float, float], out: tuple[int, int]) -> np.ndarray:
        """The same in two pieces, so that memory stays bounded."""
        left, top, right, bottom = box
        result = np.empty((out[1], out[0], 3), np.uint8)
        if out[1] > 1 and (bottom - top >= right - left or out[0] == 1):
            half = out[1] // 2
            middle = top + (bottom - top) * half / out[1]
            result[:half] = self._scaled(number, (left, top, right, middle), (out[0], half))
            result[half:] = self._scaled(number, (left, middle, right, bottom), (out[0], out[1] - half))
        else:
            half = out[0] // 2
            middle = left + (right - left) * half / out[0]
            result[:, :half] = self._scaled(number, (left, top, middle, bottom), (half, out[1]))
            result[:, half:] = self._scaled(number, (middle, top, right, bottom), (out[0] - half, out[1]))
        return result

    def _framed(self, number: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        level = self.levels[number]
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, level.width), min(y + height, level.height)
        if left >= right or top >= bottom:
            return np.full((height, width, 3), 255, np.uint8)
        inner = self._pixels(number, left, top, right - left, bottom - top)
        if inner.shape[:2] == (height, width):
            return inner
        result = np.full((height, width, 3), 255, np.uint8)
        result[top - y : bottom - y, left - x : right - x] = inner
        return result


def _touched(start: float, stop: float, length: int, count: int) -> tuple[int, int]:
    """Which of `count` equal stretches of [start, stop) touch [0, length): first and one after the last."""
    step = (stop - start) / count
    first, after = floor(-start / step), ceil((length - start) / step)
    return min(max(first, 0), count), min(max(after, 0), count)


class PixelSource(PyramidSource):
    """A picture that is in memory already, with coarser levels by halves. Takes a third more memory than its pixels."""

    def __init__(self, pixels: np.ndarray, mpp: float | None = None, *, fingerprint: str | None = None) -> None:
        """`pixels` is uint8 (H, W, 3), not copied and not to be changed afterwards; ValueError for anything else."""
        super().__init__()
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"A slide's pixels are uint8 (height, width, 3), not {pixels.dtype} {pixels.shape}.")
        self.height, self.width = pixels.shape[:2]
        self.mpp = mpp
        self._known = fingerprint
        self._rasters = [pixels]
        while max(self._rasters[-1].shape[:2]) > SMALLEST_PX and min(self._rasters[-1].shape[:2]) > 1:
            self._rasters.append(np.asarray(Image.fromarray(self._rasters[-1]).reduce(2)))
        # a halved level covers whole pairs, so its scale is the power of two itself and not the ratio of the rounded sizes
        self.levels = tuple(Level(r.shape[1], r.shape[0], float(2**n), float(2**n)) for n, r in enumerate(self._rasters))

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return sum(raster.nbytes for raster in self._rasters)

    def _identify(self) -> str:
        digest = hashlib.sha256(f"{self._rasters[0].shape}".encode())
        digest.update(np.ascontiguousarray(self._rasters[0]).data)
        return digest.hexdigest()

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self._rasters[level][y : y + height, x : x + width].copy()

    def _shut(self) -> None:
        self._rasters = []
