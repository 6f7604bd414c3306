"""Taking an uploaded file into a folder of its own: as it is, or unpacked from a ZIP where a slide consists of several files."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from models.shared.data import DataDamaged
from models.shared.data.archives import Limits, members
from models.shared.slides import SlideRefused
from workbench.slides.hosted import ENDINGS

ZIP_LIMITS = Limits(members=5_000, file_bytes=4 << 30, total_bytes=4 << 30)
_LEADING = (".mrxs", ".vms", ".vmu")
_DICOM = (".dcm", ".dicom", "")
_SUFFIX = re.compile(r"\.[a-z]{2,8}")
_MOST_RATIO, _FREE_BYTES = 20, 64 << 20  # unpacked : packed, above a size at which it matters; slides are JPEG already
_ZIP = b"PK\x03\x04"
_GONE = "The file could not be taken in: it is not there any more, or the server's disk is full; please upload it again."


def take_in(path: Path, name: str, folder: Path) -> Path:
    """Bring the upload at `path` into `folder`, which is empty; the file to open comes back. Of `name` its ending alone is kept.

    Raises SlideRefused.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise SlideRefused("This is no file; please choose one slide file, or a ZIP of the files that make up a slide.")
        with path.open("rb") as file:
            is_zip = file.read(4) == _ZIP
        if is_zip:
            return _unpacked(path, folder)
        suffix = PurePosixPath(name).suffix.lower()
        target = folder / f"slide{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        try:
            os.link(path, target, follow_symlinks=False)  # Gradio deletes its own by its own clock; this one stays, at no cost
        except OSError:
            shutil.copyfile(path, target, follow_symlinks=False)
        return target
    except OSError:
        raise SlideRefused(_GONE) from None


def _unpacked(path: Path, folder: Path) -> Path:
    inside = folder / "files"
    inside.mkdir()
    named = inside.parent / "slide.zip"  # so that sentences about it do not show the random name
    os.symlink(path.resolve(), named)
    try:
        with members(named, ZIP_LIMITS) as found:
            names = [member.name for member in found]
        with zipfile.ZipFile(path) as archive:
            left = min(ZIP_LIMITS.total_bytes, max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size))
            for name in names:
                left -= _one(archive, name, inside, left)
    except DataDamaged as fault:
        raise SlideRefused(str(fault)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError):
        raise SlideRefused("The ZIP is damaged or locked; please pack the files again, without a password.") from None
    finally:
        with contextlib.suppress(OSError):
            named.unlink()
    return _main_file(inside)


def _one(archive: zipfile.ZipFile, name: str, inside: Path, left: int) -> int:
    """Write one member below `inside`, however large it says it is at most `left` bytes; its size comes back."""
    target = inside.joinpath(*PurePosixPath(name).parts)
    if not target.resolve().is_relative_to(inside.resolve()):
        raise SlideRefused("The ZIP holds a name that leads outside it; please pack the files again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(name) as source, target.open("xb") as file:
        while piece := source.read(1 << 20):
            written += len(piece)
            if written > left:
                raise SlideRefused("The ZIP swells to far more than slides do when it is unpacked; please pack the slide's own files anew.")
            file.write(piece)
    return written


def _main_file(inside: Path) -> Path:
    """The file that stands for the slide. Raises SlideRefused when there is none, or more than one slide."""
    files = sorted(path for path in inside.rglob("*") if path.is_file())
    leading = [path for path in files if path.suffix.lower() in _LEADING]
    single = leading or [path for path in files if path.suffix.lower() in ENDINGS]
    if len(single) > 1:
        raise SlideRefused("The ZIP holds several slides; please bring one slide at a time.")
    if single:
        return single[0]
    series = [path for path in files if path.suffix.lower() in _DICOM and _is_dicom(path)]
    if not series:
        raise SlideRefused("The ZIP holds no slide of a known kind; please pack the slide's own files, with their names unchanged.")
    return max(series, key=lambda path: path.stat().st_size)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
