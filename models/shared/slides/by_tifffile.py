"""TIFF that OpenSlide does not take: strips, several planes, pages or SubIFDs as a pyramid, codings that only imagecodecs knows.

Only plain pages and their SubIFDs are looked at. Metadata that could point to other files (OME and the like) is never followed. A page counts
as a level when it is a smaller copy of the first one by its sides; label and macro pictures are not.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from models.shared.slides.by_pillow import MAX_PIXELS, check_size
from models.shared.slides.fingerprints import fingerprint
from models.shared.slides.segments import DAMAGED, JPEG, KIND, Page, SegmentReader, page_of
from models.shared.slides.source import Level, PixelSource, PyramidSource, SlideRefused

MAX_SEGMENT_PIXELS = 1 << 26
"""Of one tile or strip of a picture that is read in pieces: all of it is decoded for any pixel in it."""
MAX_PAGES = 256
_CLEAR = (*JPEG, 1, 5, 8, 32773, 32946)  # JPEG and what loses nothing; of JPEG 2000 each maker has its own reading of the colours


def open_tiff(path: Path) -> PyramidSource:
    """A pyramid that is read in pieces, or, where there is one level of moderate size, the whole picture in memory. Raises SlideRefused."""
    source = TiffSource(path)
    if len(source.levels) > 1 or source.width * source.height > MAX_PIXELS:
        return source
    with source:
        return PixelSource(source.region(0, 0, 0, source.width, source.height), source.mpp, fingerprint=source.fingerprint)


class TiffSource(PyramidSource):
    """A TIFF read tile by tile or strip by strip."""

    vendor = "tiff"

    def __init__(self, path: Path) -> None:
        """Raises SlideRefused."""
        super().__init__()
        import tifffile

        try:
            with tifffile.TiffFile(path, is_ome=False) as tiff:
                found = level_pages(tiff)
                self.mpp = _mpp(found[0])
                pages = [page_of(page) for page in found]
        except SlideRefused:
            raise
        except Exception:  # noqa: BLE001 - tifffile lets whatever a damaged tag causes escape
            raise SlideRefused(DAMAGED) from None
        first = pages[0]
        self.width, self.height = first.width, first.height
        if len(pages) == 1:
            if first.tile[0] * first.tile[1] > MAX_SEGMENT_PIXELS:
                check_size(self.width, self.height)
        elif any(page.tile[0] * page.tile[1] > MAX_SEGMENT_PIXELS for page in pages):
            raise SlideRefused(KIND.format("tiles of more than 64 million pixels"))
        self.levels = tuple(Level(p.width, p.height, first.width / p.width, first.height / p.height, p.tile) for p in pages)
        self._path, self._reader = path, SegmentReader(path, pages)

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self._reader.read(level, x, y, width, height)

    def _identify(self) -> str:
        return fingerprint([self._path])

    def _shut(self) -> None:
        self._reader.close()


def level_pages(tiff: Any) -> list[Any]:
    """The pages of an open TiffFile that make up its pyramid, finest first. Raises SlideRefused."""
    pages = [page for page, _ in zip(tiff.pages, range(MAX_PAGES), strict=False)]
    if not pages:
        raise SlideRefused("The TIFF file holds no picture; please export it again.")
    first = pages[0]
    levels = [first]
    for page in sorted([*below(tiff, first), *pages[1:]], key=lambda page: -page.imagewidth):
        if _is_copy(page, first) and page.imagewidth < levels[-1].imagewidth:
            levels.append(page)
    return levels


def below(tiff: Any, page: Any) -> list[Any]:
    """The pages behind a page's SubIFDs tag; a damaged one is done without."""
    import tifffile

    pages = []
    for number, offset in enumerate((getattr(page, "subifds", None) or ())[:MAX_PAGES]):
        with contextlib.suppress(Exception):
            tiff.filehandle.seek(offset)
            pages.append(tifffile.TiffPage(tiff, (0, 0, number)))
    return pages


def tile_levels(path: Path, levels: tuple[Level, ...]) -> list[Page] | None:
    """The pages that hold exactly these levels, when all of them are whole sets of 8-bit tiles in a coding with one meaning; else None."""
    import tifffile

    try:
        with tifffile.TiffFile(path, is_ome=False) as tiff:
            tops = [page for page, _ in zip(tiff.pages, range(MAX_PAGES), strict=False)]
            tiled = [page for top in tops for page in (top, *below(tiff, top)) if page.is_tiled and int(page.compression) in _CLEAR]
            found = []
            for level in levels:
                one = next(
                    page
                    for page in tiled
                    if (page.imagewidth, page.imagelength, page.tilewidth, page.tilelength) == (level.width, level.height, *level.tile)
                )
                found.append(page_of(one))
    except Exception:  # noqa: BLE001 - whatever is odd about it, OpenSlide reads it then
        return None
    return None if any(page.is_sparse or page.planes > 1 or page.alpha for page in found) else found


def _is_copy(page: Any, first: Any) -> bool:
    """Whether a page shows the first one smaller: same kind, same way of storing it, sides in proportion up to rounding."""
    if page.is_tiled != first.is_tiled or page.samplesperpixel != first.samplesperpixel or page.bitspersample != first.bitspersample:
        return False
    if not 0 < page.imagewidth < first.imagewidth or not 0 < page.imagelength < first.imagelength:
        return False
    if not page.is_tiled and page.subfiletype != 1:
        return False
    return abs(page.imagewidth * first.imagelength - page.imagelength * first.imagewidth) <= 1.5 * max(first.imagewidth, first.imagelength)


def _mpp(page: Any) -> float | None:
    from models.shared.slides.opening import mpp_from_tags

    tag = page.tags.get(282)
    unit = page.tags.get(296)
    try:
        top, bottom = tag.value
        return mpp_from_tags(top / bottom, int(unit.value) if unit else 2)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None
