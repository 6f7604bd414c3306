"""TIFF that OpenSlide does not take: strips, several planes, pages or SubIFDs as a pyramid, codings that only imagecodecs knows.

Only plain pages and their SubIFDs are looked at. Metadata that could point to other files (OME and the like) is never followed. A page counts
as a level when it is a smaller copy of the first one by its sides; label and macro pictures are not.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.shared.slides.by_pillow import MAX_PIXELS, check_size
from models.shared.slides.fingerprints import fingerprint
from models.shared.slides.source import Level, PixelSource, PyramidSource, SlideRefused

MAX_SEGMENT_PIXELS = 1 << 26
"""Of one tile or strip of a picture that is read in pieces: all of it is decoded for any pixel in it."""
MAX_PAGES = 256
_CACHE_BYTES = 64 << 20
_GREY_WHITE, _GREY, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7, 34892, 33007)
_DAMAGED = "The TIFF file is damaged or cut short; copy or export it again."
_KIND = "This TIFF stores its pixels in a way that cannot be read here ({}); please save it as 8-bit RGB."


@dataclass(frozen=True)
class _Page:
    """What is needed of one page once the file's index has been read."""

    width: int
    height: int
    tile: tuple[int, int]
    decode: Any
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    tables: bytes | None
    planes: int
    photometric: int
    alpha: bool
    palette: np.ndarray | None

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of segments."""
        return -(-self.width // self.tile[0]), -(-self.height // self.tile[1])


def open_tiff(path: Path) -> PyramidSource:
    """A pyramid that is read in pieces, or, where there is one level of moderate size, the whole picture in memory. Raises SlideRefused."""
    source = TiffSource(path)
    if len(source.levels) > 1 or source.width * source.height > MAX_PIXELS:
        return source
    with source:
        return PixelSource(source.region(0, 0, 0, source.width, source.height), source.mpp, fingerprint=source.fingerprint)


class TiffSource(PyramidSource):
    """Tiles and strips decoded one by one when something in them is asked for; the latest are kept."""

    vendor = "tiff"

    def __init__(self, path: Path) -> None:
        """Raises SlideRefused."""
        super().__init__()
        import tifffile

        try:
            with tifffile.TiffFile(path, is_ome=False) as tiff:
                pages = level_pages(tiff)
                self.mpp = _mpp(pages[0])
                self._pages = [_page(page) for page in pages]
        except SlideRefused:
            raise
        except Exception:  # noqa: BLE001 - tifffile lets whatever a damaged tag causes escape
            raise SlideRefused(_DAMAGED) from None
        first = self._pages[0]
        self.width, self.height = first.width, first.height
        if len(self._pages) == 1 and max(first.tile[0] * first.tile[1], 1) > MAX_SEGMENT_PIXELS:
            check_size(self.width, self.height)
        elif any(page.tile[0] * page.tile[1] > MAX_SEGMENT_PIXELS for page in self._pages):
            raise SlideRefused(_KIND.format("tiles of more than 64 million pixels"))
        self.levels = tuple(Level(p.width, p.height, first.width / p.width, first.height / p.height, p.tile) for p in self._pages)
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._recent: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._held, self._lock = 0, threading.Lock()

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        page = self._pages[level]
        across, down = page.tile
        result = np.full((height, width, 3), 255, np.uint8)
        for row in range(y // down, (y + height - 1) // down + 1):
            for column in range(x // across, (x + width - 1) // across + 1):
                segment = self._segment(level, row * page.grid[0] + column)
                left, top = column * across, row * down
                x0, y0 = max(x, left), max(y, top)
                x1, y1 = min(x + width, left + segment.shape[1]), min(y + height, top + segment.shape[0])
                if x0 < x1 and y0 < y1:
                    result[y0 - y : y1 - y, x0 - x : x1 - x] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
        return result

    def _segment(self, level: int, index: int) -> np.ndarray:
        key = (level, index)
        with self._lock:
            if key in self._recent:
                self._recent.move_to_end(key)
                return self._recent[key]
        try:
            decoded = self._decoded(self._pages[level], index)
        except SlideRefused:
            raise
        except Exception:  # noqa: BLE001 - imagecodecs has one error class per coding
            raise SlideRefused(_DAMAGED) from None
        with self._lock:
            if key not in self._recent and decoded.nbytes <= _CACHE_BYTES:
                self._recent[key] = decoded
                self._held += decoded.nbytes
                while self._held > _CACHE_BYTES:
                    self._held -= self._recent.popitem(last=False)[1].nbytes
        return decoded

    def _decoded(self, page: _Page, index: int) -> np.ndarray:
        """Segment `index` as uint8 RGB; the planes of a picture that stores colours apart are put together."""
        planes = []
        area = page.grid[0] * page.grid[1]
        for plane in range(page.planes):
            place = index + plane * area
            count = page.counts[place]
            if count == 0:  # a sparse file: nothing was scanned there
                return np.full((page.tile[1], page.tile[0], 3), 255, np.uint8)
            data = os.pread(self._file, count, page.offsets[place])
            if len(data) < count:
                raise SlideRefused(_DAMAGED)
            if size := jpeg_size(data):
                _check_declared(size, page)
            planes.append(page.decode(data, place, jpegtables=page.tables)[0][0])
        return _as_rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1), page)

    def _identify(self) -> str:
        return fingerprint([self._path])

    def _shut(self) -> None:
        os.close(self._file)
        self._recent.clear()


def level_pages(tiff: Any) -> list[Any]:
    """The pages of an open TiffFile that make up its pyramid, finest first. Raises SlideRefused."""
    pages = [page for page, _ in zip(tiff.pages, range(MAX_PAGES), strict=False)]
    if not pages:
        raise SlideRefused("The TIFF file holds no picture; please export it again.")
    first = pages[0]
    offsets = (first.subifds or ())[:MAX_PAGES]
    below = []
    for offset in offsets:
        with contextlib.suppress(Exception):  # a damaged smaller copy is done without
            tiff.filehandle.seek(offset)
            import tifffile

            below.append(tifffile.TiffPage(tiff, (0, 0, len(below))))
    levels = [first]
    for page in sorted([*below, *pages[1:]], key=lambda page: -page.imagewidth):
        if _is_copy(page, first) and page.imagewidth < levels[-1].imagewidth:
            levels.append(page)
    return levels


def _is_copy(page: Any, first: Any) -> bool:
    """Whether a page shows the first one smaller: same kind, same way of storing it, sides in proportion up to rounding."""
    if page.is_tiled != first.is_tiled or page.samplesperpixel != first.samplesperpixel or page.bitspersample != first.bitspersample:
        return False
    if not 0 < page.imagewidth < first.imagewidth or not 0 < page.imagelength < first.imagelength:
        return False
    if not page.is_tiled and page.subfiletype != 1:
        return False
    return abs(page.imagewidth * first.imagelength - page.imagelength * first.imagewidth) <= 1.5 * max(first.imagewidth, first.imagelength)


def _page(page: Any) -> _Page:
    width, height, photometric = page.imagewidth, page.imagelength, int(page.photometric)
    if (
        min(width, height) < 1
        or min(page.tilewidth if page.is_tiled else width, page.tilelength if page.is_tiled else page.rowsperstrip) < 1
    ):
        raise SlideRefused("The TIFF says that its picture has no pixels; please export it again.")
    samples = page.samplesperpixel
    wanted = {_GREY_WHITE: (1, 2), _GREY: (1, 2), _RGB: (3, 4), _PALETTE: (1,), _YCBCR: (3,)}.get(photometric, ())
    if page.dtype not in (np.dtype("u1"), np.dtype("u2")) or samples not in wanted or page.imagedepth > 1:
        raise SlideRefused(_KIND.format(f"{samples} × {page.bitspersample} bit, photometric {photometric}"))
    if photometric == _YCBCR and int(page.compression) not in _JPEG:
        raise SlideRefused(_KIND.format("YCbCr without JPEG"))
    tile = (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip, height))
    planes = samples if int(page.planarconfig) == 2 else 1
    made = _Page(
        width, height, tile, page.decode, tuple(page.dataoffsets), tuple(page.databytecounts), page.jpegtables, planes, photometric,
        samples in (2, 4) and bool(page.extrasamples) and int(page.extrasamples[0]) in (1, 2), page.colormap,
    )  # fmt: skip
    if len(made.offsets) < made.grid[0] * made.grid[1] * planes or len(made.counts) < len(made.offsets):
        raise SlideRefused("The TIFF says that its picture is larger than the tiles it holds; copy or export it again.")
    return made


def _as_rgb(segment: np.ndarray, page: _Page) -> np.ndarray:
    """uint8 or uint16 (h, w, samples) as uint8 (h, w, 3), transparency over white."""
    if page.photometric == _PALETTE and page.palette is not None:
        return np.ascontiguousarray((page.palette.T >> 8).astype(np.uint8)[segment[..., 0]])
    if segment.dtype == np.uint16:
        segment = (segment >> 8).astype(np.uint8)
    if page.photometric == _GREY_WHITE:
        segment = np.concatenate([255 - segment[..., :1], segment[..., 1:]], axis=-1)
    colour = segment[..., :3] if segment.shape[-1] >= 3 else np.repeat(segment[..., :1], 3, axis=-1)
    if not page.alpha:
        return np.ascontiguousarray(colour)
    alpha = segment[..., -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _mpp(page: Any) -> float | None:
    from models.shared.slides.opening import mpp_from_tags

    tag = page.tags.get(282)
    unit = page.tags.get(296)
    try:
        top, bottom = tag.value
        return mpp_from_tags(top / bottom, int(unit.value) if unit else 2)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None


def _check_declared(size: tuple[int, int], page: _Page) -> None:
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
