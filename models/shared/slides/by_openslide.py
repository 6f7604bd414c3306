"""Slides through OpenSlide: SVS, NDPI, SCN, BIF, MRXS, DICOM, Philips, Trestle, Ventana and tiled TIFF."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.shared.slides.by_tifffile import tile_levels
from models.shared.slides.fingerprints import fingerprint
from models.shared.slides.segments import SegmentReader
from models.shared.slides.source import Level, PyramidSource, SlideRefused

if TYPE_CHECKING:
    import openslide

CACHE_BYTES = 128 << 20
"""Of decoded tiles, for all open slides together."""
_PLAIN = ("aperio", "generic-tiff")  # whose levels are the file's own pages, tile by tile
_DAMAGED = "The slide is damaged or incomplete; copy or export it again, with all files that belong to it."
_FAULTS = (ctypes.ArgumentError, OSError, ValueError, OverflowError, KeyError)


@lru_cache
def _cache() -> openslide.OpenSlideCache:
    import openslide

    return openslide.OpenSlideCache(CACHE_BYTES)


def vendor_of(path: Path) -> str | None:
    """OpenSlide's word for the format ("aperio", "hamamatsu", "generic-tiff" …); None when it knows it not."""
    import openslide

    try:
        return openslide.OpenSlide.detect_format(path)
    except (openslide.OpenSlideError, *_FAULTS):
        return None


class OpenSlideSource(PyramidSource):
    """A slide in OpenSlide's hands. After an error it can not be read any more: OpenSlide keeps a handle's first error for good.

    Where all levels are plain tiles of a TIFF (Aperio and others), OpenSlide finds them and says what they are, and the tiles are decoded here: the
    same pixels in a third of the time, as they need not be painted on a canvas, and without its interpolation where a level's scale is no whole number.
    """

    def __init__(self, path: Path) -> None:
        """Raises SlideRefused."""
        super().__init__()
        import openslide

        from models.shared.slides.opening import plausible_mpp

        try:
            self._slide = openslide.OpenSlide(path)
            self._slide.set_cache(_cache())
            facts, sizes, scales = self._slide.properties, self._slide.level_dimensions, self._slide.level_downsamples
            self.vendor = facts.get(openslide.PROPERTY_NAME_VENDOR, "")
            quick = facts.get(openslide.PROPERTY_NAME_QUICKHASH1, "")
        except (openslide.OpenSlideError, *_FAULTS):
            raise SlideRefused(_DAMAGED) from None
        self.width, self.height = sizes[0]
        if min(self.width, self.height) < 1:
            self._slide.close()
            raise SlideRefused("The slide says that it has no pixels; please export it again.")
        across, down = _number(facts.get(openslide.PROPERTY_NAME_MPP_X)), _number(facts.get(openslide.PROPERTY_NAME_MPP_Y))
        self.mpp = plausible_mpp((across + down) / 2 if across and down else across or down)
        self.magnification = _number(facts.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER))
        self.levels = tuple(
            Level(
                width,
                height,
                scale,
                scale,
                (int(facts.get(f"openslide.level[{n}].tile-width", 0)), int(facts.get(f"openslide.level[{n}].tile-height", 0))),
            )
            for n, ((width, height), scale) in enumerate(zip(sizes, scales, strict=True))
        )
        self._path, self._quick = path, quick
        pages = tile_levels(path, self.levels) if self.vendor in _PLAIN else None
        self._tiles = SegmentReader(path, pages) if pages else None

    def _identify(self) -> str:
        return fingerprint([self._path, *companions(self._path, self.vendor)], self._quick)

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        if self._tiles is not None:
            return self._tiles.read(level, x, y, width, height)
        return self._painted(level, x, y, width, height)

    def _painted(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        import openslide

        scale = self.levels[level].across
        try:
            # OpenSlide wants the place in level-0 pixels; the next whole one above falls into the same pixel of the level
            image = self._slide.read_region((round(x * scale), round(y * scale)), level, (width, height))
        except (openslide.OpenSlideError, *_FAULTS):
            raise SlideRefused("The slide is damaged here and cannot be read; copy or export it again.") from None
        if (np.asarray(image)[..., 3] == 255).all():
            # packed to RGB in one pass, which is twice as fast as Pillow's convert and a copy of it
            return np.frombuffer(image.tobytes("raw", "RGB"), np.uint8).reshape(height, width, 3).copy()
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return np.array(white)

    def _identify(self) -> str:
        return fingerprint([self._path, *companions(self._path, self.vendor)], self._quick)

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        if self._tiles is not None:
            return self._tiles.read(level, x, y, width, height)
        return self._painted(level, x, y, width, height)

    def _painted(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        import openslide

        scale = self.levels[level].across
        try:
            # OpenSlide wants the place in level-0 pixels; the next whole one above falls into the same pixel of the level
            image = self._slide.read_region((round(x * scale), round(y * scale)), level, (width, height))
        except (openslide.OpenSlideError, *_FAULTS):
            raise SlideRefused("The slide is damaged here and cannot be read; copy or export it again.") from None
        alpha = image.getchannel("A")
        if alpha.getextrema() == (255, 255):
            return np.array(image.convert("RGB"))
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        return np.array(white)

    def _shut(self) -> None:
        self._slide.close()
        if self._tiles is not None:
            self._tiles.close()


def companions(path: Path, vendor: str) -> list[Path]:
    """The other files of a slide that has several, sorted: of MRXS its folder, of DICOM and VMS what lies beside it."""
    if vendor == "mirax":
        return _files(path.with_suffix(""))
    if vendor == "dicom":
        return [file for file in _files(path.parent) if file != path and file.suffix == path.suffix]
    if vendor in ("hamamatsu-vms", "hamamatsu-vmu"):
        return [file for file in _files(path.parent) if file != path]
    return []


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")) if folder.is_dir() else []


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
