"""TIFF and BigTIFF through tifffile: 1 to 64 bits, grey, colour, palette, several pages as frames.

Only plain pages are looked at. Metadata that could point to other files (multi-file OME and the like) is switched off, so an upload
cannot make the server read anything else. Known deviations: print resolution is not taken as spacing; of a pyramid only the full-size
level is read; pages of another size than the first (thumbnail, label, macro picture) are left out.

H W: rows and columns of a page.   S: samples per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from workbench.imaging.codestream import check_scans, declared_size
from workbench.imaging.files import Content
from workbench.imaging.limits import InputRefused, Limits, check_frame, check_frame_count, check_ratio
from workbench.imaging.study import Decoded, as_pixels
from workbench.imaging.windows import FULL_8_BIT, automatic

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_PHOTOMETRIC = {0: "MONOCHROME1", 1: "MONOCHROME2", 2: "RGB", 3: "PALETTE COLOR", 6: "YBR_FULL"}
_STREAMS = (7, 33003, 33005, 34712)  # JPEG and JPEG 2000: the stream declares its own size
_CODINGS = (1, 5, 8, 32946, 32773, 50000, *_STREAMS)  # none, LZW, deflate (two numbers), PackBits, Zstandard
_OTHER_SIZES = "The file also holds pictures of other sizes (small copies or labels); they are left out."
_IMAGEJ = "Only the first picture of this ImageJ stack can be read; save it as a plain TIFF for all of them."
_CUT_SHORT = "The TIFF file is cut short: it holds less than its header says; please copy or export it again."


@dataclass(frozen=True)
class TiffReader:
    """Reads single pages of one TIFF file. `pages` are the page numbers that make up the frames."""

    content: Content
    limits: Limits
    pages: tuple[int, ...]
    photometric: str
    warnings: tuple[str, ...]
    default_frame: int = 0
    modality: str = "unknown"

    @property
    def frames(self) -> int:
        """How many pages of the first page's size there are."""
        return len(self.pages)

    def decode(self, frame: int) -> Decoded:
        """Page `frame` as Decoded. Raises InputRefused when what it stores does not fit what it declares."""
        with self.content.open() as handle, _open(handle) as tiff:
            page = tiff.pages[self.pages[frame]]
            _check_page(page, self.content.size, limits=self.limits)
            if int(page.compression) in _STREAMS:
                _check_streams(handle, page, limits=self.limits)
            array = page.asarray(maxworkers=1)
            return _shown(_turned(_channels_last(array, page), page), page)


def open_tiff(content: Content, *, limits: Limits) -> TiffReader:
    """Read and check the page list of a TIFF → reader. Raises InputRefused for what cannot be shown or passes the limits."""
    with content.open() as handle, _open(handle) as tiff:
        first = tiff.pages.first
        _check_page(first, content.size, limits=limits)
        pages, notes = _frames(tiff, limits=limits)
        photometric = _PHOTOMETRIC[int(first.photometric)]
        if "ImageJ=" in first.description[:16] and "images=" in first.description and len(pages) == 1:
            notes += (_IMAGEJ,)
    return TiffReader(content, limits, pages, photometric, notes)


def _open(handle: BinaryIO) -> TiffFile:
    from tifffile import TiffFile

    return TiffFile(handle, name="upload.tif", _multifile=False, is_ome=False, is_mmstack=False)


def _frames(tiff: TiffFile, *, limits: Limits) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Numbers of the pages that look like the first, and a warning when there are others. Stops at the limit, so loops end."""
    first, chosen, others, number = tiff.pages.first, [0], 0, 1
    while True:
        try:
            page = tiff.pages[number]
        except IndexError:
            break
        same = (page.shape, page.dtype, page.photometric) == (first.shape, first.dtype, first.photometric)
        if same:
            chosen.append(number)
        else:
            others += 1
        number += 1
        check_frame_count(number, limits=limits)
    return tuple(chosen), (_OTHER_SIZES,) if others else ()


def _check_page(page: TiffPage, file_bytes: int, *, limits: Limits) -> None:
    """Refuse a page by what its tags say, before anything is decoded."""
    if int(page.photometric or 0) not in _PHOTOMETRIC or int(page.compression) not in _CODINGS or page.dtype is None:
        raise InputRefused("This TIFF uses a colour model or a packing that cannot be read here; please save it as plain TIFF or PNG.")
    if int(page.photometric) == 6 and int(page.compression) not in _STREAMS:
        raise InputRefused("This TIFF stores brightness and colour apart without JPEG; please save it as plain RGB TIFF or PNG.")
    if page.dtype.kind not in "biuf" or page.imagedepth != 1:
        raise InputRefused("This TIFF holds complex numbers or volumes in one page; please save plain slices.")
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    colour = int(page.photometric) in (2, 3, 6)
    if samples not in ((3, 4) if int(page.photometric) in (2, 6) else (1, 2)):
        raise InputRefused(f"This TIFF has {samples:,} channels, and only grey or colour pictures can be shown; please save one of these.")
    check_frame(height, width, 3 if colour else 1, limits=limits)
    native = height * width * samples * page.dtype.itemsize
    # a tile may be larger than the picture; its decoder would fill it all the same
    tile = page.tilewidth * page.tilelength if page.is_tiled else 0
    if page.is_tiled:
        check_frame(page.tilelength, page.tilewidth, samples, limits=limits)
    check_ratio(max(native, tile * samples * page.dtype.itemsize), file_bytes, limits=limits)
    offsets, counts = page.dataoffsets, page.databytecounts
    if not offsets or len(offsets) != len(counts):
        raise InputRefused(_CUT_SHORT)
    if any(offset + count > file_bytes for offset, count in zip(offsets, counts, strict=True)):
        raise InputRefused(_CUT_SHORT)
    if int(page.compression) == 1 and sum(counts) * 8 < height * width * samples * page.bitspersample:
        raise InputRefused(_CUT_SHORT)


def _check_streams(handle: BinaryIO, page: TiffPage, *, limits: Limits) -> None:
    """Refuse JPEG or JPEG 2000 segments that declare more pixels than their tile or strip has room for."""
    room_h, room_w = (page.tilelength, page.tilewidth) if page.is_tiled else (max(page.rowsperstrip, 8), page.imagewidth)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        handle.seek(offset)
        data = handle.read(count)
        check_scans(data, limits=limits)
        size = declared_size(data)
        # decoders round up to whole blocks of 16
        if size and (size.rows > room_h + 16 or size.columns > room_w + 16):
            raise InputRefused("A part of this TIFF declares a larger picture than it has room for; please export it again.")


def _channels_last(array: np.ndarray, page: TiffPage) -> np.ndarray:
    """(H, W), (H, W, S) or (S, H, W) → (H, W) or (H, W, 3)."""
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    if int(page.photometric) == 3:
        index = array[..., 0] if array.ndim == 3 else array
        shades = np.asarray(page.colormap)  # 3 × entries, uint16
        return np.moveaxis(shades[:, np.minimum(index, shades.shape[1] - 1)] >> 8, 0, -1).astype(np.uint8)
    if page.samplesperpixel in (2, 4):
        array = array[..., 0] if page.samplesperpixel == 2 else array[..., :3]
    return array


def _turned(array: np.ndarray, page: TiffPage) -> np.ndarray:
    """Apply the Orientation tag (TIFF 6.0, page 36): 2–4 mirror, 5–8 also swap rows and columns."""
    tag = page.tags.get(274)
    code = int(tag.value) if tag is not None else 1
    if code in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if code in (3, 4, 7, 8):
        array = array[::-1]
    if code in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _shown(array: np.ndarray, page: TiffPage) -> Decoded:
    bits = 8 if int(page.photometric) == 3 else page.bitspersample
    if array.dtype == bool:
        array, bits = array.astype(np.uint8), 1
    pixels, notes = as_pixels(array)
    if page.samplesperpixel in (2, 4):
        notes += ("The picture's transparency is left out.",)
    if array.ndim == 3:
        top = float(2**bits - 1) if array.dtype.kind in "iu" else max(1.0, float(pixels.max()))
        return Decoded(pixels, full_scale=top, warnings=notes)
    eight_bit = array.dtype == np.uint8 and bits == 8
    return Decoded(pixels, windows=(FULL_8_BIT,) if eight_bit else automatic(pixels), warnings=notes)
