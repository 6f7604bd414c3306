"""A name for a slide's content that is cheap for huge files.

Up to `WHOLE_BYTES` all bytes are hashed. Above, the hash is made from the size, the first and last megabyte and 256 blocks of 4 KB spread
evenly between: two files that differ in a few tiles alone may then share a name (a re-scan, another crop or another compression does not).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

WHOLE_BYTES = 64 << 20
_ENDS, _BLOCK, _BLOCKS = 1 << 20, 4096, 256


def fingerprint(files: Iterable[str | os.PathLike[str]], *more: str) -> str:
    """Hex of the content of `files` in the order given, and of the texts `more`. OSError when one cannot be read."""
    digest = hashlib.sha256()
    for file in files:
        _add(digest, Path(file))
    for text in more:
        digest.update(b"\x00" + text.encode())
    return digest.hexdigest()


def _add(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(f"{size}\n".encode())
        if size <= WHOLE_BYTES:
            while piece := file.read(1 << 20):
                digest.update(piece)
            return
        step = (size - 2 * _ENDS) // _BLOCKS
        for start, length in [(0, _ENDS), *((_ENDS + step * n, _BLOCK) for n in range(_BLOCKS)), (size - _ENDS, _ENDS)]:
            file.seek(start)
            digest.update(file.read(length))
