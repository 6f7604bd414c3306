"""Tiles and open slides, out of a bounded number of open files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from models.shared.slides import PixelSource, PyramidSource, SlideRefused, open_source
from workbench.kept import Kept
from workbench.slides import limits
from workbench.slides.facts import Plan, SlideGone
from workbench.slides.handles import Handles
from workbench.slides.pieces import cut, encode
from workbench.slides.tilefile import BUILT_INDEX, INDEX, THUMB, TILES, TileFile

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Record:
    """A slide that has been examined."""

    id: str
    owner: str | None
    """None: everybody may see it."""
    title: str
    path: Path
    folder: Path
    """Where its plan and what was made for it lie."""
    plan: Plan
    mark: str
    signature: tuple[int, int]
    """Size and last change of the file when it was examined."""


class Serving:
    """One per store. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._files: Handles[TileFile] = Handles(limits.OPEN_FILES)
        self._slides: Handles[PyramidSource] = Handles(limits.OPEN_SLIDES, limit_bytes=limits.DECODED_BYTES, size=_held)
        self._packed: Kept[bytes] = Kept(limits.ENCODED_BYTES, lambda data: len(data) + 200)

    @property
    def open_files(self) -> int:
        """How many files and slides are open now."""
        return len(self._files) + len(self._slides)

    def stored(self, record: Record, level: int, column: int, row: int) -> bytes | None:
        """A tile that needs no work: the slide's own, one made when it was opened, or one packed lately; None when it has to be made.

        SlideGone for a place that there is not, or when the file is not what it was.
        """
        if not 0 <= level < len(record.plan.levels):
            raise SlideGone
        served = record.plan.levels[level]
        if not (0 <= column < served.nx and 0 <= row < served.ny):
            raise SlideGone
        if served.kind == "decoded":
            return self._known((record.mark, level, column, row))
        try:
            with self._files.use((record.folder, served.kind), lambda: _tile_file(record, served.kind)) as file:
                data = file.tile(served, column, row)
        except (OSError, ValueError, IndexError):
            self.forget(record)
            raise SlideGone from None
        return data or self._known((record.mark, level, column, row))

    def made(self, record: Record, level: int, column: int, row: int) -> bytes:
        """A tile that has to be decoded and packed, of a place that `stored` has let pass. SlideGone where the slide is damaged."""
        key = (record.mark, level, column, row)
        data = self._known(key)
        if data is None:
            served = record.plan.levels[level]
            try:
                data = encode(self._reading(record, lambda source: cut(source, served, column, row)))
            except SlideRefused:
                self._packed.put(key, b"")  # remembered, so that a damaged place is not tried again and again
                raise SlideGone from None
            self._packed.put(key, data)
        return data

    def thumb(self, record: Record) -> bytes:
        """A small JPEG of the whole slide, longer side at most 512 pixels."""
        try:
            return (record.folder / THUMB).read_bytes()
        except OSError:
            raise SlideGone from None

    def read(self, record: Record, *place: int, out: tuple[int, int] | None = None) -> np.ndarray:
        """`SlideSource.read` of an examined slide."""
        return self._reading(record, lambda source: source.read(*place, out=out))

    def forget(self, record: Record) -> None:
        """Close its files, for it is to be deleted or was found changed."""
        for kind in ("native", "built"):
            self._files.drop((record.folder, kind))
        self._slides.drop(record.folder)

    def close(self) -> None:
        """Close everything."""
        self._files.close()
        self._slides.close()

    def _known(self, key: Any) -> bytes | None:
        data = self._packed.get(key)
        if data == b"":
            raise SlideGone
        return data

    def _reading(self, record: Record, work: Callable[[PyramidSource], _T]) -> _T:
        """What `work` makes of the open slide. SlideRefused where the slide is damaged."""
        try:
            with self._slides.use(record.folder, lambda: _slide(record)) as source:
                return work(source)
        except SlideRefused:
            # OpenSlide's handles are of no use after an error, and it may have been the reading of another place that failed
            self._slides.drop(record.folder)
            with _slide(record) as source:
                return work(source)


class SharedSource:
    """An examined slide as a `SlideSource`. Holds no file open: each reading borrows one, so it may be kept and need not be closed."""

    def __init__(self, serving: Serving, record: Record, mpp: float | None) -> None:
        self.width, self.height = record.plan.width, record.plan.height
        self.mpp, self.fingerprint = mpp, record.plan.fingerprint
        self._serving, self._record = serving, record

    def read(self, x: int, y: int, width: int, height: int, *, out: tuple[int, int] | None = None) -> np.ndarray:
        """See `models.shared.slides.SlideSource.read`."""
        return self._serving.read(self._record, x, y, width, height, out=out)

    def close(self) -> None:
        """Nothing to do."""


def signature(path: Path) -> tuple[int, int]:
    """Size and time of the last change. OSError when it is not there."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _tile_file(record: Record, kind: str) -> TileFile:
    if kind == "built":
        return TileFile(record.folder / TILES, record.folder / BUILT_INDEX)
    file = TileFile(record.path, record.folder / INDEX)
    if file.signature() != record.signature:
        file.close()
        raise OSError("The slide has changed.")
    return file


def _slide(record: Record) -> PyramidSource:
    try:
        same = signature(record.path) == record.signature
    except OSError:
        same = False
    if not same:
        raise SlideRefused("The slide has changed or is gone; please open it once more.")
    return open_source(record.path)


def _held(source: PyramidSource) -> int:
    return source.nbytes if isinstance(source, PixelSource) else 0
