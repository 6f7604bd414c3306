"""The slides visitors brought: kept up to a number per visitor, up to a size on disk and for a time without use."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.slides.serving import Record

PER_VISITOR = 6
_SWEEPS = 0.25  # of the idle time lies between two looks for what has to go


@dataclass
class _Upload:
    record: Record
    nbytes: int
    used: float


class Uploads:
    """Records of uploads by id. Whatever leaves is deleted from the disk. Safe from any thread."""

    def __init__(self, *, idle_s: float, disk_bytes: int, clock: Callable[[], float], leaves: Callable[[Record], None]) -> None:
        """`leaves` is called with each record that goes, before its files are deleted."""
        self._idle_s, self._disk_bytes, self._clock, self._leaves = idle_s, disk_bytes, clock, leaves
        self._kept: dict[str, _Upload] = {}
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def find(self, id: str) -> Record | None:
        """The record, which now counts as used."""
        with self._lock:
            kept = self._kept.get(id)
            if kept is None:
                return None
            kept.used = self._clock()
            return kept.record

    def of(self, owner: str) -> list[Record]:
        """One visitor's, latest first."""
        with self._lock:
            mine = [kept for kept in self._kept.values() if kept.record.owner == owner]
            return [kept.record for kept in sorted(mine, key=lambda kept: -kept.used)]

    def enter(self, record: Record) -> None:
        """Keep a slide in the place of an earlier one of the same id, and let go of what is too much."""
        nbytes = sum(file.stat().st_size for file in record.folder.rglob("*") if file.is_file())
        with self._lock:
            if record.id in self._kept:
                self._leave(record.id)
            self._kept[record.id] = _Upload(record, nbytes, self._clock())
            mine = sorted((kept.used, id) for id, kept in self._kept.items() if kept.record.owner == record.owner)
            for _, id in mine[:-PER_VISITOR]:
                self._leave(id)
            self._make_room(keep=record.id)
            self._watch()

    def sweep(self) -> None:
        """Delete what nobody has used for long."""
        limit = self._clock() - self._idle_s
        with self._lock:
            for id in [id for id, kept in self._kept.items() if kept.used < limit]:
                self._leave(id)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            for id in list(self._kept):
                self._leave(id)

    def _make_room(self, *, keep: str) -> None:
        """Under the disk limit: whoever holds most gives up the oldest first, so that one visitor cannot push out all others."""
        while sum(kept.nbytes for kept in self._kept.values()) > self._disk_bytes and len(self._kept) > 1:
            held: dict[str | None, int] = {}
            for kept in self._kept.values():
                held[kept.record.owner] = held.get(kept.record.owner, 0) + kept.nbytes
            may_go = [(-held[kept.record.owner], kept.used, id) for id, kept in self._kept.items() if id != keep]
            self._leave(min(may_go)[2])

    def _leave(self, id: str) -> None:
        record = self._kept.pop(id).record
        self._leaves(record)
        shutil.rmtree(record.folder, ignore_errors=True)

    def _watch(self) -> None:
        """Sweep again later for as long as there is something to sweep, also when nobody comes any more."""
        if self._timer is None and self._kept:
            self._timer = threading.Timer(self._idle_s * _SWEEPS, self._again)
            self._timer.daemon = True
            self._timer.start()

    def _again(self) -> None:
        with self._lock:
            self._timer = None
            self.sweep()
            self._watch()


def new_folder(within: Path, name: str) -> Path:
    """A folder for one slide, readable to the server's user alone."""
    folder = within / name
    folder.mkdir(mode=0o700, parents=True)
    return folder
