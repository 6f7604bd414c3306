"""Opening a slide: OpenSlide where it knows the format, else tifffile for plain TIFF, else Pillow for PNG and JPEG."""

from __future__ import annotations

import math
import os
from pathlib import Path

from models.shared.slides.source import PyramidSource, SlideRefused

PLAUSIBLE_MPP = (0.02, 20.0)
"""µm per pixel that a microscope or its overview can have; a print resolution of 72 dpi would be 353."""
KINDS = "SVS, NDPI, SCN, BIF, MRXS, DICOM, Philips or plain TIFF, PNG or JPEG"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_SEVERAL = (".mrxs", ".vms", ".vmu", ".dcm")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def open_source(path: str | os.PathLike[str], *, mpp: float | None = None) -> PyramidSource:
    """Open the slide at `path`; `mpp` (µm per level-0 pixel) takes the place of what the file says. For a DICOM series or MRXS any one file.

    Raises SlideRefused, one sentence, for whatever cannot be opened. Not safe against files made to harm: the libraries underneath are C code, so
    a server opens an unknown file in a process with limits first.
    """
    if mpp is not None and not PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1]:
        raise SlideRefused(f"A pixel of {mpp:g} µm is no microscope's; give a number from {PLAUSIBLE_MPP[0]} to {PLAUSIBLE_MPP[1]:g}.")
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as fault:
        raise SlideRefused(
            f"The slide cannot be opened ({fault.strerror or 'no such file'}); check that it is there and readable."
        ) from None
    source = _opened(path, head)
    if mpp is not None:
        source.mpp = mpp
    return source


def _opened(path: Path, head: bytes) -> PyramidSource:
    from models.shared.slides.by_openslide import OpenSlideSource, vendor_of

    vendor = vendor_of(path)
    if vendor:
        try:
            return OpenSlideSource(path)
        except SlideRefused:
            if vendor != "generic-tiff":
                raise
    if head.startswith(_TIFF):
        from models.shared.slides.by_tifffile import open_tiff

        return open_tiff(path)
    if head.startswith(_PICTURES) and path.suffix.lower() not in _SEVERAL:  # an MRXS begins with a small JPEG
        from models.shared.slides.by_pillow import open_picture

        return open_picture(path)
    if path.suffix.lower() in _SEVERAL:
        raise SlideRefused("This file is one of several that make up the slide; bring them all, packed in one ZIP.")
    raise SlideRefused(f"This file is no slide of a known kind; please bring {KINDS}.")


def plausible_mpp(value: float | None) -> float | None:
    """The value if a microscope can have it, else None."""
    return value if value is not None and math.isfinite(value) and PLAUSIBLE_MPP[0] <= value <= PLAUSIBLE_MPP[1] else None


def mpp_from_tags(resolution: float | None, unit: int) -> float | None:
    """µm per pixel from a TIFF's pixels per unit (2 inch, 3 centimetre); None where that is missing or is a print resolution."""
    if not resolution or unit not in (2, 3):
        return None
    return plausible_mpp((25_400.0 if unit == 2 else 10_000.0) / resolution)
