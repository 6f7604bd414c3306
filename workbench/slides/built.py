"""Tiles made once, when a picture is opened: its levels cut into JPEG tiles, one after the other in one file, with an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.shared.slides import PixelSource
from workbench.slides.facts import TileLevel
from workbench.slides.limits import COARSEST_PX
from workbench.slides.pieces import BUILT_QUALITY, TILE_PX, cut, encode, grid
from workbench.slides.tilefile import BUILT_INDEX, TILES


def build(pixels: PixelSource, folder: Path, scale: float) -> list[TileLevel]:
    """Write the tiles of all levels of `pixels` into `folder`; `scale` is how many level-0 pixels of the slide one pixel of its finest is.

    The levels come back finest first. OSError when the disk is full.
    """
    levels: list[TileLevel] = []
    places: list[tuple[int, int]] = []
    with (folder / TILES).open("wb") as file:
        for number, one in enumerate(pixels.levels):
            columns, rows = grid(one.width, one.height, (TILE_PX, TILE_PX))
            level = TileLevel(
                one.width,
                one.height,
                TILE_PX,
                TILE_PX,
                columns,
                rows,
                kind="built",
                scale=scale * one.across,
                source=number,
                start=len(places),
            )
            for row in range(rows):
                for column in range(columns):
                    data = encode(cut(pixels, level, column, row), BUILT_QUALITY)
                    places.append((file.tell(), len(data)))
                    file.write(data)
            levels.append(level)
            if max(one.width, one.height) <= COARSEST_PX:
                break
    np.save(folder / BUILT_INDEX, np.array(places, np.uint64).reshape(-1, 2))
    return levels
