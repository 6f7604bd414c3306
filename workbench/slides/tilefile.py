"""Reading finished JPEG tiles out of a file: of the slide itself, or of tiles that were made when it was opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from workbench.slides.facts import TileLevel

INDEX = "index.npy"
"""Where the file's own tiles lie."""
TILES, BUILT_INDEX = "tiles.bin", "built.npy"
"""Tiles that were made, and where they lie."""
THUMB = "thumb.jpeg"
_APP0 = b"\xff\xe0"


class TileFile:
    """An open file and the places of the tiles in it. Reading does not move the file's position, so all threads share it."""

    def __init__(self, path: Path, index: Path) -> None:
        """`index` is a .npy of uint64 (n, 2): offset and bytes. OSError or ValueError when either cannot be opened."""
        self._index = np.load(index, mmap_mode="r", allow_pickle=False)
        if self._index.dtype != np.uint64 or self._index.ndim != 2 or self._index.shape[1] != 2:
            raise ValueError("This is no index of tiles.")
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def tile(self, level: TileLevel, column: int, row: int) -> bytes:
        """A whole JPEG stream; b"" where the file has no tile. The place must be inside the level's grid. OSError when it cannot be read."""
        offset, count = self._index[level.start + row * level.nx + column].tolist()
        data = os.pread(self._file, count, offset)
        if len(data) != count:
            raise OSError("The file has become shorter.")
        return joined(level.head, data) if level.head and data else data

    def signature(self) -> tuple[int, int]:
        """Size and time of the last change, as when it was examined."""
        found = os.fstat(self._file)
        return found.st_size, found.st_mtime_ns

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def joined(head: bytes, data: bytes) -> bytes:
    """A tile's own bytes with `head` (see `tiffindex.head`) in place of its start of image.

    A JFIF mark of the tile's own is left out: it says YCbCr, and decoders believe it rather than the TIFF.
    """
    if data[2:4] == _APP0:
        return head + data[4 + int.from_bytes(data[4:6], "big") :]
    return head + data[2:]
