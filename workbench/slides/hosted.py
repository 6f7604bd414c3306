"""Slides of the host: the example that ships with Lightbox and whatever lies in the folders named in WORKBENCH_SLIDES. Everybody may see them.

Their ids are keyed hashes of where they lie, with a key that is kept, so that a link to one still opens it after a restart and nobody learns a path
from it. Links inside a folder are followed only to files inside the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXAMPLE_ID = "example"
EXAMPLE_TITLE = "Example: drawn slide (phantom)"
ENDINGS = frozenset(
    (".svs", ".tif", ".tiff", ".btf", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".png", ".jpg", ".jpeg")
)
_DICOM = frozenset((".dcm", ".dicom"))
_MOST, _DEEPEST, _FRESH_S = 2_000, 6, 30.0


@dataclass(frozen=True)
class Hosted:
    """One slide of the host, not yet opened."""

    id: str
    title: str
    path: Path
    """The file itself, no link any more."""


class HostedSlides:
    """What there is now; folders are looked through again when the last look is half a minute old. Safe from any thread."""

    def __init__(self, folders: Sequence[Path], example: Path | None, key_file: Path) -> None:
        self._folders, self._example, self._key_file = tuple(folders), example, key_file
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self._found: dict[str, Hosted] = {}
        self._looked: float | None = None

    def all(self) -> list[Hosted]:
        """The example first, then the folders' in order of their names."""
        with self._lock:
            if self._looked is None or time.monotonic() - self._looked > _FRESH_S:
                self._found = {one.id: one for one in self._look()}
                self._looked = time.monotonic()
            return list(self._found.values())

    def find(self, id: str) -> Hosted | None:
        """The slide of that id, if it is still where it was found."""
        with self._lock:
            known = self._found.get(id)
        if known is None:
            known = next((one for one in self.all() if one.id == id), None)
        return known

    def _look(self) -> list[Hosted]:
        found = []
        if self._example is not None and self._example.is_file():
            found.append(Hosted(EXAMPLE_ID, EXAMPLE_TITLE, self._example))
        for folder in self._folders:
            with contextlib.suppress(OSError):
                root = folder.resolve(strict=True)
                found += [Hosted(self._id(root, path), title, real) for path, title, real in _walk(root)]
        return found

    def _id(self, root: Path, path: Path) -> str:
        text = f"{root}\n{path.relative_to(root).as_posix()}"
        return hmac.new(self._secret(), os.fsencode(text), hashlib.sha256).hexdigest()[:32]

    def _secret(self) -> bytes:
        if self._key is None:
            with contextlib.suppress(OSError):
                self._key = self._key_file.read_bytes()
            if not self._key or len(self._key) != 32:
                self._key = secrets.token_bytes(32)
                with contextlib.suppress(OSError):  # a folder that cannot be written: links then end with the server
                    self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with os.fdopen(os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                        file.write(self._key)
        return self._key


def _walk(root: Path) -> list[tuple[Path, str, Path]]:
    """(path, title, the file itself) of every slide below `root`: DICOM series once per folder, by their largest file."""
    found: list[tuple[Path, str, Path]] = []
    for here, folders, files in os.walk(root):  # does not follow linked folders
        depth = len(Path(here).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < _DEEPEST)
        series: list[tuple[int, Path, Path]] = []
        for name in sorted(files):
            path = Path(here, name)
            ending = path.suffix.lower()
            if name.startswith(".") or ending not in ENDINGS | _DICOM:
                continue
            real = _inside(path, root)
            if real is None:
                continue
            if ending in _DICOM:
                series.append((real.stat().st_size, path, real))
            else:
                found.append((path, path.relative_to(root).as_posix(), real))
        if series:
            _, path, real = max(series)
            found.append((path, (path.parent if path.parent != root else path).relative_to(root).as_posix() + " (DICOM)", real))
        if len(found) >= _MOST:
            break
    return found[:_MOST]


def _inside(path: Path, root: Path) -> Path | None:
    """The regular file behind `path` if it lies below `root`."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if real.is_file() and real.is_relative_to(root) else None
