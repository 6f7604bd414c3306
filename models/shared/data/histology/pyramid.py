"""Writing slides as scanners leave them: tiled, pyramidal JPEG TIFF with the size of a pixel in its tags, which OpenSlide reads as "generic-tiff"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

TILE = 256
_SMALLEST = 512
_KEPT = 3
"""The level that is held in memory while a large slide is written: 8 times smaller than the finest."""


def levels_of(width: int, height: int) -> list[tuple[int, int]]:
    """Sizes (width, height) from the finest down to the first that fits into 512 pixels, each half of the one before, rounded up."""
    made = [(width, height)]
    while max(made[-1]) > _SMALLEST:
        made.append(tuple(-(-side // 2) for side in made[-1]))
    return made


def write_pyramid(path: Path, pixels: np.ndarray, mpp: float, *, quality: int = 80) -> None:
    """Write uint8 (H, W, 3) as a pyramid, each level the area average of the one above, colours as YCbCr 4:2:0."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    with tifffile.TiffWriter(path, bigtiff=False) as out:
        for number, (w, h) in enumerate(levels_of(width, height)):
            if number:
                image = _halved(image)
            _write_level(out, iter_tiles(np.asarray(image)), (h, w), mpp * 2**number, quality, first=number == 0)


def write_large(
    path: Path, width: int, height: int, mpp: float, block: Callable[[int, int, int, int], np.ndarray], *, quality: int = 75
) -> None:
    """Write a slide that does not fit into memory. block(x, y, w, h) gives finest pixels, uint8 (h, w, 3).

    The first levels are asked for tile by tile; the one that is 8 times smaller is kept, and all coarser ones are made from it.
    """
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        kept: Image.Image | None = None
        for number, (w, h) in enumerate(levels_of(width, height)):
            if number < _KEPT:
                tiles = _streamed(block, number, w, h, width, height)
            else:
                kept = _halved(kept) if kept is not None else _gathered(_streamed(block, number, w, h, width, height), w, h)
                tiles = iter_tiles(np.asarray(kept))
            _write_level(out, tiles, (h, w), mpp * 2**number, quality, first=number == 0)


def _gathered(tiles: Iterator[np.ndarray], w: int, h: int) -> Image.Image:
    made = np.empty((h, w, 3), np.uint8)
    for (top, left), tile in zip(((top, left) for top in range(0, h, TILE) for left in range(0, w, TILE)), tiles, strict=True):
        part = made[top : top + TILE, left : left + TILE]
        part[:] = tile[: part.shape[0], : part.shape[1]]
    return Image.fromarray(made)


def iter_tiles(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The tiles of uint8 (H, W, 3), row by row, those at the edge filled up with white."""
    for top in range(0, pixels.shape[0], TILE):
        for left in range(0, pixels.shape[1], TILE):
            yield _full(pixels[top : top + TILE, left : left + TILE])


def _streamed(
    block: Callable[[int, int, int, int], np.ndarray], number: int, w: int, h: int, width: int, height: int
) -> Iterator[np.ndarray]:
    scale = 2**number
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            x, y = left * scale, top * scale
            fine = block(x, y, min(TILE * scale, width - x), min(TILE * scale, height - y))
            if scale > 1:
                fine = np.asarray(Image.fromarray(fine).reduce(scale))
            yield _full(fine)


def _halved(image: Image.Image) -> Image.Image:
    return image.reduce(2)  # rounds odd sides up, as `levels_of` does


def _full(tile: np.ndarray) -> np.ndarray:
    if tile.shape[:2] == (TILE, TILE):
        return np.ascontiguousarray(tile)
    made = np.full((TILE, TILE, 3), 255, np.uint8)
    made[: tile.shape[0], : tile.shape[1]] = tile
    return made


def _write_level(
    out: tifffile.TiffWriter, tiles: Iterator[np.ndarray], shape: tuple[int, int], mpp: float, quality: int, *, first: bool
) -> None:
    out.write(
        tiles,
        shape=(*shape, 3),
        dtype=np.uint8,
        tile=(TILE, TILE),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": quality, "outcolorspace": "ycbcr", "subsampling": "420"},
        subsampling=(2, 2),
        subfiletype=0 if first else 1,
        resolution=(10_000 / mpp, 10_000 / mpp),
        resolutionunit="CENTIMETER",
        metadata=None,
        software="Lightbox",
    )
