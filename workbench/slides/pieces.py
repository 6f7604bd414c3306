"""Tiles that have to be made: cut out of an open slide at a level's scale and packed as JPEG."""

from __future__ import annotations

import numpy as np

from models.shared.slides import PyramidSource
from workbench.slides.facts import TileLevel

QUALITY = 85
BUILT_QUALITY = 90  # of tiles made once for a whole picture, which nobody waits for
TILE_PX = 256


def encode(pixels: np.ndarray, quality: int = QUALITY) -> bytes:
    """uint8 (h, w, 3) as a JPEG stream."""
    import imagecodecs

    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), level=quality, subsampling="420"))


def cut(source: PyramidSource, level: TileLevel, column: int, row: int) -> np.ndarray:
    """The pixels of one tile of a served level, uint8 (h, w, 3), those at the right and lower border smaller. May raise SlideRefused."""
    left, top = column * level.tw, row * level.th
    if level.kind == "native":  # one that the file leaves out; stored tiles are whole also at the border
        return source.region(level.source, left, top, level.tw, level.th)
    width, height = min(level.tw, level.w - left), min(level.th, level.h - top)
    if level.source >= 0:
        return source.region(level.source, left, top, width, height)
    scale = level.scale
    return source.read(round(left * scale), round(top * scale), round(width * scale), round(height * scale), out=(width, height))


def grid(width: int, height: int, tile: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows of tiles."""
    return -(-width // tile[0]), -(-height // tile[1])
