"""Tiles and strips of a TIFF, decoded one by one when something in them is asked for; the latest are kept, for all open slides together."""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.shared.slides.source import SlideRefused

CACHE_BYTES = 96 << 20
GREY_WHITE, GREY, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
"""The TIFF tag PhotometricInterpretation."""
JPEG = (6, 7, 34892, 33007)
"""Numbers of the TIFF tag Compression that mean a JPEG stream."""
DAMAGED = "The TIFF file is damaged or cut short; copy or export it again."
KIND = "This TIFF stores its pixels in a way that cannot be read here ({}); please save it as 8-bit RGB."
EMPTY = "The TIFF says that its picture has no pixels; please export it again."


@dataclass(frozen=True)
class Page:
    """What is needed of one page once the file's index has been read."""

    width: int
    height: int
    tile: tuple[int, int]
    decode: Any
    offsets: np.ndarray
    counts: np.ndarray
    tables: bytes | None
    planes: int
    photometric: int
    alpha: bool
    palette: np.ndarray | None

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of segments."""
        return -(-self.width // self.tile[0]), -(-self.height // self.tile[1])

    @property
    def is_sparse(self) -> bool:
        """Whether the file leaves tiles out."""
        return bool((self.counts == 0).any())


class _Recent:
    """The latest segments of all readers, up to CACHE_BYTES."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()
        self._held, self._lock = 0, threading.Lock()

    def get(self, key: tuple[int, int, int]) -> np.ndarray | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[int, int, int], segment: np.ndarray) -> None:
        with self._lock:
            if key not in self._kept and segment.nbytes <= CACHE_BYTES // 2:
                self._kept[key] = segment
                self._held += segment.nbytes
                while self._held > CACHE_BYTES:
                    self._held -= self._kept.popitem(last=False)[1].nbytes

    def drop(self, reader: int) -> None:
        with self._lock:
            for key in [key for key in self._kept if key[0] == reader]:
                self._held -= self._kept.pop(key).nbytes


_RECENT = _Recent()
_NUMBERS = itertools.count()


class SegmentReader:
    """Reads rectangles out of pages of one TIFF file. Safe from any thread."""

    def __init__(self, path: Path, pages: Sequence[Page]) -> None:
        """OSError when the file cannot be opened."""
        self._pages, self._number = pages, next(_NUMBERS)
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def read(self, number: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """uint8 (height, width, 3) of a rectangle inside page `number`, transparency over white, white where nothing was scanned. SlideRefused when damaged."""
        page = self._pages[number]
        across, down = page.tile
        result = np.empty((height, width, 3), np.uint8)
        for row in range(y // down, (y + height - 1) // down + 1):
            for column in range(x // across, (x + width - 1) // across + 1):
                segment = self._segment(number, row * page.grid[0] + column)
                left, top = column * across, row * down
                x0, y0, x1, y1 = max(x, left), max(y, top), min(x + width, left + across), min(y + height, top + down)
                part = segment[y0 - top : y1 - top, x0 - left : x1 - left]
                if part.shape[:2] != (y1 - y0, x1 - x0):
                    raise SlideRefused(DAMAGED)
                result[y0 - y : y1 - y, x0 - x : x1 - x] = part
        return result

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
        _RECENT.drop(self._number)

    def _segment(self, number: int, index: int) -> np.ndarray:
        key = (self._number, number, index)
        segment = _RECENT.get(key)
        if segment is None:
            try:
                segment = self._decoded(self._pages[number], index)
            except SlideRefused:
                raise
            except Exception:  # noqa: BLE001 - imagecodecs has one error class per coding
                raise SlideRefused(DAMAGED) from None
            _RECENT.put(key, segment)
        return segment

    def _decoded(self, page: Page, index: int) -> np.ndarray:
        """Segment `index` as uint8 RGB; the planes of a picture that stores colours apart are put together."""
        planes = []
        area = page.grid[0] * page.grid[1]
        for plane in range(page.planes):
            place = index + plane * area
            count = int(page.counts[place])
            if count == 0:  # a sparse file: nothing was scanned there
                return np.full((page.tile[1], page.tile[0], 3), 255, np.uint8)
            data = os.pread(self._file, count, int(page.offsets[place]))
            if len(data) < count:
                raise SlideRefused(DAMAGED)
            if size := jpeg_size(data):
                _check_declared(size, page)
            planes.append(page.decode(data, place, jpegtables=page.tables)[0][0])
        return _as_rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1), page)


def page_of(page: Any) -> Page:
    """What is needed of a tifffile page. Raises SlideRefused for what cannot be read or claims more than it has."""
    width, height, photometric = page.imagewidth, page.imagelength, int(page.photometric)
    if min(width, height, *((page.tilewidth, page.tilelength) if page.is_tiled else (page.rowsperstrip,))) < 1:
        raise SlideRefused(EMPTY)
    samples = page.samplesperpixel
    wanted = {GREY_WHITE: (1, 2), GREY: (1, 2), RGB: (3, 4), PALETTE: (1,), YCBCR: (3,)}.get(photometric, ())
    if page.dtype not in (np.dtype("u1"), np.dtype("u2")) or samples not in wanted or page.imagedepth > 1:
        raise SlideRefused(KIND.format(f"{samples} × {page.bitspersample} bit, photometric {photometric}"))
    if photometric == YCBCR and int(page.compression) not in JPEG:
        raise SlideRefused(KIND.format("YCbCr without JPEG"))
    tile = (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip, height))
    planes = samples if int(page.planarconfig) == 2 else 1
    made = Page(
        width, height, tile, page.decode, np.asarray(page.dataoffsets, np.uint64), np.asarray(page.databytecounts, np.uint64), page.jpegtables, planes, photometric,
        samples in (2, 4) and bool(page.extrasamples) and int(page.extrasamples[0]) in (1, 2), page.colormap,
    )  # fmt: skip
    if len(made.offsets) < made.grid[0] * made.grid[1] * planes or len(made.counts) < len(made.offsets):
        raise SlideRefused("The TIFF says that its picture is larger than the tiles it holds; copy or export it again.")
    return made


def _as_rgb(segment: np.ndarray, page: Page) -> np.ndarray:
    """uint8 or uint16 (h, w, samples) as uint8 (h, w, 3), transparency over white."""
    if page.photometric == PALETTE and page.palette is not None:
        return np.ascontiguousarray((page.palette.T >> 8).astype(np.uint8)[segment[..., 0]])
    if segment.dtype == np.uint16:
        segment = (segment >> 8).astype(np.uint8)
    if page.photometric == GREY_WHITE:
        segment = np.concatenate([255 - segment[..., :1], segment[..., 1:]], axis=-1)
    colour = segment[..., :3] if segment.shape[-1] >= 3 else np.repeat(segment[..., :1], 3, axis=-1)
    if not page.alpha:
        return np.ascontiguousarray(colour)
    alpha = segment[..., -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _check_declared(size: tuple[int, int], page: Page) -> None:
    """A JPEG stream says its own size: one that says more than its tile would have much more memory taken than the tile needs."""
    if size[0] > page.tile[0] + 16 or size[1] > page.tile[1] + 16:
        raise SlideRefused("A tile of this TIFF says that it is larger than its place; copy or export the file again.")


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG stream declares (ITU-T T.81, B.2.2), None where it is none or declares none."""
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[place + 7 : place + 9], "big"), int.from_bytes(data[place + 5 : place + 7], "big")
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
