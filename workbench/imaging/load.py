"""The border: one path in, one `Study` or one plain sentence out.

Order of work: open a regular file of bounded size → kind by content → reader for that kind (checks its header against the limits) →
decode one frame. Any error of a library becomes `InputRefused` here, and only its type is logged, since its text may quote the header.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from workbench.imaging.files import Content, take_in
from workbench.imaging.limits import InputRefused, Limits
from workbench.imaging.quiet import quiet
from workbench.imaging.sniff import NAMES, extension_warning, kind_of
from workbench.imaging.study import Decoded, Study

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_DEFAULT = Limits()


class Reader(Protocol):
    """What a reader of one kind offers once the file's header has been read and checked."""

    frames: int
    default_frame: int
    photometric: str
    modality: str
    warnings: tuple[str, ...]

    def decode(self, frame: int) -> Decoded:
        """One frame, counted from 0."""


def load(path: str | Path, *, frame: int | None = None, limits: Limits = _DEFAULT) -> Study:
    """Read an upload → Study of `frame` (counted from 0; None takes the first, or the middle slice of a NIfTI volume).

    Raises InputRefused, one plain sentence, for whatever cannot be read; no other error leaves this function.
    """
    return _guarded(lambda: _load(path, frame, limits))


def _load(path: str | Path, frame: int | None, limits: Limits) -> Study:
    if not isinstance(path, str | Path):
        raise InputRefused("No file was given; please choose a picture file.")
    path = Path(path)
    content, head, digest = take_in(path, limits=limits)
    kind = kind_of(head)
    reader = _guarded(lambda: _reader(content, kind, limits), kind)
    return _study(reader, kind, digest, extension_warning(path, kind), frame)


def _reader(content: Content, kind: str, limits: Limits) -> Reader:
    # imported here: each reader brings a heavy library that the server's start must not wait for
    if kind == "dicom":
        with _IMPORTS:  # threads that import it at the same time can each get half of it
            import pydicom.pixels  # noqa: F401

            from workbench.imaging.dicom import open_dicom

        return open_dicom(content, limits=limits)
    if kind == "nifti":
        from workbench.imaging.nifti import open_nifti

        return open_nifti(content, limits=limits)
    if kind == "tiff":
        from workbench.imaging.tiff import open_tiff

        return open_tiff(content, limits=limits)
    from workbench.imaging.raster import RasterReader

    return RasterReader(content, kind, limits)


def _study(reader: Reader, kind: str, digest: str, notes: tuple[str, ...], frame: int | None) -> Study:
    index = _checked_frame(reader, frame)
    decoded = _guarded(lambda: reader.decode(index), kind)
    decoded.pixels.flags.writeable = False
    colour = decoded.pixels.ndim == 3
    photometric = reader.photometric
    modality = reader.modality
    if kind in ("png", "jpeg", "bmp", "webp"):
        photometric, modality = ("RGB", "photo") if colour else ("MONOCHROME2", "unknown")
    return Study(
        pixels=decoded.pixels,
        frames=reader.frames,
        frame=index,
        spacing_mm=decoded.spacing_mm,
        modality=modality,
        source=kind,
        window=None if colour or not decoded.windows else tuple(decoded.windows[0][1:]),
        windows=() if colour else decoded.windows,
        photometric=photometric,
        warnings=tuple(dict.fromkeys(notes + reader.warnings + decoded.warnings)),
        content_hash=digest,
        full_scale=decoded.full_scale,
        function=decoded.function,
        table=decoded.table,
        _other_frame=lambda other: _guarded(lambda: _study(reader, kind, digest, notes, other)),
    )


def _checked_frame(reader: Reader, frame: int | None) -> int:
    if frame is None:
        return reader.default_frame
    if isinstance(frame, bool) or not hasattr(frame, "__index__") or not 0 <= frame < reader.frames:
        raise InputRefused(f"There is no such frame: the file has {reader.frames:,}; please choose one from 0 to {reader.frames - 1:,}.")
    return int(frame)


_IMPORTS = threading.Lock()


def _guarded(work: Callable[[], _T], kind: str | None = None) -> _T:
    """Run `work` in silence; whatever fails becomes InputRefused with nothing of the failure attached."""
    with quiet():
        try:
            return work()
        except InputRefused as refusal:
            sentence = str(refusal)
        except MemoryError:
            sentence = "The picture needs more memory than this machine has free; please upload a smaller one."
        except Exception as failure:  # noqa: BLE001 - the one border: readers raise dozens of kinds, and none may reach the screen
            _log.warning("A %s upload could not be read (%s).", kind or "new", type(failure).__name__)
            name = f"{NAMES[kind]} file" if kind else "file"
            sentence = (
                f"This {name} is damaged, cut short or written in an unusual way; please export it again from the program it came from."
            )
    # raised outside the except blocks so that the library's error, which may quote the header, is not even chained to it
    raise InputRefused(sentence)
