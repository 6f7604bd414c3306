"""Reading a zip or a folder that came from anywhere: every size, name and kind is checked before anything is unpacked.

Nothing is ever written to disk: members are read into memory one at a time, so a member's name cannot lead outside a folder; names
that try are refused all the same, as nobody packs them by accident.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from models.shared.data import DataDamaged

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What zipfile raises on damaged, encrypted (RuntimeError) or exotically packed (NotImplementedError) files."""


@dataclass(frozen=True)
class Limits:
    """How much is taken from one zip or folder."""

    members: int = 10_000
    file_bytes: int = 32 << 20
    total_bytes: int = 1 << 30
    packed: tuple[str, ...] = ()
    """Endings of packed single files that are taken all the same, such as ".tsv.gz"; whoever reads them unpacks them within a limit."""
    directory_bytes: int = 4 << 20
    """Of a zip's table of contents, looked at before Python reads it: a small file may hold millions of names."""


@dataclass(frozen=True)
class Member:
    """One file in a zip or folder."""

    name: str
    """Its path inside, with forward slashes."""
    read: Callable[[], bytes]


@contextmanager
def members(path: Path, limits: Limits = Limits()) -> Iterator[list[Member]]:
    """The files of a zip or folder, sorted by name, hidden ones left out; they can be read inside the `with` block.

    Raises DataDamaged, in one sentence, for anything that should not be read.
    """
    if path.is_dir():
        yield _of_folder(path, limits)
        return
    try:
        _check_directory(path, limits)
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as fault:
        if isinstance(fault, DataDamaged):
            raise
        raise DataDamaged(f"{path.name} cannot be read as a zip ({fault}). Make the zip again, or fetch the file once more.") from fault
    with archive:
        yield _of_zip(archive, path.name, limits)


def _of_folder(folder: Path, limits: Limits) -> list[Member]:
    found: list[tuple[str, Path, int]] = []
    for here, folders, files in os.walk(folder):  # does not follow linked folders
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files:
            file = Path(here, name)
            if not _hidden(name) and not file.is_symlink():
                found.append((file.relative_to(folder).as_posix(), file, file.stat().st_size))
        if len(found) > limits.members:
            break
    _check_sizes(folder.name, [(name, size) for name, _, size in found], limits)
    return [Member(name, partial(_read_file, file, limits.file_bytes)) for name, file, _ in sorted(found)]


def _of_zip(archive: zipfile.ZipFile, name: str, limits: Limits) -> list[Member]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        _check_entry(name, entry, limits)
    entries = [entry for entry in entries if not any(_hidden(part) for part in entry.filename.split("/"))]
    _check_sizes(name, [(entry.filename, entry.file_size) for entry in entries], limits)
    ordered = sorted(entries, key=lambda entry: entry.filename)
    return [Member(entry.filename, partial(_read_entry, archive, entry, name, limits.file_bytes)) for entry in ordered]


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse a zip whose table of contents is huge, by the size its last record declares (PKWARE APPNOTE 4.3.16)."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - 65_557))  # the record's 22 bytes and the longest comment
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise DataDamaged(f"{path.name} is no whole zip: its end is missing. Make the zip again, or fetch the file once more.")
    (declared,) = struct.unpack_from("<I", tail, at + 12)
    if declared > limits.directory_bytes:
        raise DataDamaged(f"{path.name} lists far more files than the {limits.members:,} allowed. Use a smaller zip.")


def _check_entry(archive_name: str, entry: zipfile.ZipInfo, limits: Limits) -> None:
    path = PurePosixPath(entry.filename)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in entry.filename
        or PureWindowsPath(entry.filename).drive
        or "\0" in entry.filename
    ):
        raise DataDamaged(
            f"{archive_name} holds {entry.filename!r}, a name that leads outside the zip. Pack the folders again, without such names."
        )
    if entry.flag_bits & 1:
        raise DataDamaged(f"{archive_name} is protected by a password. Make the zip again without one.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataDamaged(f"{archive_name} holds {entry.filename!r}, a link to another file. Pack the files themselves.")
    if path.suffix.lower() in ARCHIVES and not entry.filename.lower().endswith(limits.packed or ("\0",)):
        raise DataDamaged(
            f"{archive_name} holds {entry.filename!r}, an archive inside the archive. Unpack it first, then pack the folders themselves."
        )


def _check_sizes(name: str, sizes: list[tuple[str, int]], limits: Limits) -> None:
    if len(sizes) > limits.members:
        raise DataDamaged(f"{name} holds more than the {limits.members:,} files allowed. Use fewer.")
    for member, size in sizes:
        if size > limits.file_bytes:
            raise DataDamaged(
                f"{member} in {name} unpacks to more than the {_megabytes(limits.file_bytes)} allowed for one file. Leave it out or make it smaller."
            )
    if sum(size for _, size in sizes) > limits.total_bytes:
        raise DataDamaged(
            f"{name} unpacks to more than the {_megabytes(limits.total_bytes)} allowed in all. Use fewer or smaller pictures."
        )


def _read_file(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as fault:
        raise DataDamaged(f"{file.name} cannot be opened ({fault.strerror}).") from fault
    return _checked(file.name, data, limit)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, archive_name: str, limit: int) -> bytes:
    try:
        with archive.open(entry) as opened:
            data = opened.read(limit + 1)  # whatever size the entry declares
    except _UNREADABLE as fault:
        raise DataDamaged(
            f"{entry.filename} in {archive_name} cannot be unpacked ({fault}). Make the zip again, or fetch it once more."
        ) from fault
    return _checked(entry.filename, data, limit)


def _checked(name: str, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise DataDamaged(f"{name} unpacks to more than the {_megabytes(limit)} allowed for one file. Leave it out or make it smaller.")
    if data[:4] == b"PK\x03\x04":
        raise DataDamaged(
            f"{name} is an archive inside the archive, whatever its name says. Unpack it first, then pack the folders themselves."
        )
    return data


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _LITTER


def _megabytes(size: int) -> str:
    return f"{max(1, size >> 20)} MB"
