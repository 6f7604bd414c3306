"""Opening an upload safely: regular files only, of bounded size, the same bytes each time, inflated no further than allowed.

gzip and deflate are unpacked in small steps into an unnamed temporary file, so neither a bomb nor an honest volume fills memory.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from workbench.imaging.limits import InputRefused, Limits, check_ratio

_STEP = 1 << 18
GZIP, RAW_DEFLATE = 31, -15  # zlib's window-bits codes


class Content:
    """The bytes of one upload, opened anew for each read; or, once inflated, an unnamed temporary file.

    The path stays private to this object because a file name may hold a person's name.
    """

    def __init__(self, path: Path, size: int, stamp: int, inflated: IO[bytes] | None = None) -> None:
        self._path, self.size, self._stamp, self._inflated = path, size, stamp, inflated
        self._lock = threading.Lock()
        if inflated is not None:
            weakref.finalize(self, inflated.close)

    def __repr__(self) -> str:
        return f"Content({self.size} bytes)"

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A readable file at position 0. Raises InputRefused when the upload has gone or is no longer the same file."""
        if self._inflated is not None:
            with self._lock:  # one position is shared by all readers of the temporary file
                self._inflated.seek(0)
                yield self._inflated
            return
        with _open_regular(self._path) as handle:
            status = os.fstat(handle.fileno())
            if (status.st_size, status.st_mtime_ns) != (self.size, self._stamp):
                raise InputRefused("The file has changed since it was opened; please load it again.")
            yield handle

    def inflate(self, *, start: int, window_bits: int, cap: int, free_bytes: int, limits: Limits) -> Content:
        """Unpack from byte `start` on, at most `cap` bytes, into a temporary file.

        Past `free_bytes` the part unpacked so far is held against `limits.max_ratio`. Raises InputRefused past the limits or when damaged.
        """
        target = tempfile.TemporaryFile(prefix="workbench-")  # noqa: SIM115 - closed with the Content that owns it
        with self.open() as handle:
            handle.seek(start)
            try:
                written = _inflate(handle, target, window_bits=window_bits, cap=cap, free_bytes=free_bytes, limits=limits)
            except BaseException:
                target.close()
                raise
        return Content(self._path, written, self._stamp, target)


def _inflate(handle: BinaryIO, target: IO[bytes], *, window_bits: int, cap: int, free_bytes: int, limits: Limits) -> int:
    unpacker, written, pending, start = zlib.decompressobj(window_bits), 0, b"", handle.tell()
    while True:
        if unpacker.eof:
            if window_bits != GZIP or not pending:
                break
            unpacker = zlib.decompressobj(window_bits)  # gzip files may be several parts in a row (pigz, bgzip)
        pending = pending or handle.read(_STEP)
        if not pending:
            break
        try:
            piece = unpacker.decompress(pending, min(_STEP, cap + 1 - written))
        except zlib.error:
            raise InputRefused("The packed part of the file is damaged; please copy or export the file again.") from None
        pending = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        written += len(piece)
        check_ratio(written, handle.tell() - start - len(pending), limits=limits, free_bytes=free_bytes)
        if piece.count(0) == len(piece):
            target.seek(len(piece), os.SEEK_CUR)  # empty space costs no disk: a hole reads as zeros
        else:
            target.write(piece)
        if written > cap:
            break
    if written > limits.max_inflated_bytes:
        most = limits.max_inflated_bytes / 2**20
        raise InputRefused(f"The file unpacks to more than {most:,.0f} MB, the most allowed; please export a smaller part of it.")
    target.truncate(min(written, cap))
    return min(written, cap)


def inflated_head(data: bytes, count: int) -> bytes:
    """The first `count` bytes of gzip `data`, or what there is of them; empty when it is not gzip."""
    try:
        return zlib.decompressobj(GZIP).decompress(data, count)
    except zlib.error:
        return b""


def _open_regular(path: Path) -> BinaryIO:
    try:
        # looked at before opening: merely opening a pipe waits for a writer, and opening a device can act on it
        regular = stat.S_ISREG(os.stat(path).st_mode)
        # O_NONBLOCK: should a pipe take the file's place in between, opening it must not wait
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        number = os.open(path, flags) if regular else None
    except FileNotFoundError:
        raise InputRefused("The file is not there any more; please upload it again.") from None
    except (OSError, ValueError):
        raise InputRefused("The file cannot be opened; please check that it may be read, and upload it again.") from None
    if number is not None and stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    if number is not None:
        os.close(number)
    raise InputRefused("This is a folder or a device rather than a file; please choose one picture file.")


def take_in(path: Path, *, limits: Limits) -> tuple[Content, bytes, str]:
    """Check a path and read it once → (its Content, the first 4,096 bytes, SHA-256 of all bytes in hex).

    Raises InputRefused for anything but a regular, readable, non-empty file within `limits.max_bytes`.
    """
    with _open_regular(path) as handle:
        status = os.fstat(handle.fileno())
        if status.st_size == 0:
            raise InputRefused("The file is empty; please check the original and upload it again.")
        if status.st_size > limits.max_bytes:
            raise InputRefused(
                f"The file has {status.st_size / 2**20:,.0f} MB, more than the {limits.max_bytes / 2**20:,.0f} MB allowed; "
                "please upload a smaller one, or use the slide viewer if it is a whole-slide scan."
            )
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        handle.seek(0)
        return Content(path, status.st_size, status.st_mtime_ns), handle.read(4096), digest
