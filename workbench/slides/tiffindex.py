"""Where a TIFF keeps its JPEG tiles, so that they can be sent as they are; nothing is decoded here.

A tile in a TIFF is an abbreviated JPEG stream: the tables it needs may stand once for all tiles in the JPEGTables tag (TIFF Technical Note 2), and
whether its samples are RGB or YCbCr is said by the TIFF alone. `head` puts both into the stream: tables after the start of image, and Adobe's
APP14 mark with transform 0 where samples are RGB, without which a browser would take them for YCbCr.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.shared.slides import SlideRefused
from workbench.slides.limits import MAX_TILES, READ_TILE_PX

_JPEG = 7
_RGB, _YCBCR, _GREY = 2, 6, 1
_START = b"\xff\xd8"
_RGB_MARK = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
_MAX_PAGES = 256
CODINGS = {
    1: "uncompressed", 5: "LZW", 6: "old-style JPEG", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 32946: "Deflate", 33003: "JPEG 2000", 33005: "JPEG 2000",
    34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip
_SHORT = "The slide is cut short: it holds less than its header says; please copy or export it again."
_LIES = "The slide's header does not fit its content: it says that the picture is larger than the tiles it holds; please export it again."


@dataclass(frozen=True)
class TilePage:
    """A tiled page: its size, its tiles' size, where they lie ((nx * ny, 2) uint64: offset, bytes; bytes 0 where nothing was scanned)."""

    width: int
    height: int
    tile: tuple[int, int]
    coding: int
    index: np.ndarray
    head: bytes
    passes: bool
    """Whether its tiles are baseline colour or grey JPEG that a browser shows as they are."""

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        return -(-self.width // self.tile[0]), -(-self.height // self.tile[1])


def tile_pages(path: Path) -> list[TilePage]:
    """The tiled pages of a TIFF and their SubIFDs, in the file's order, each checked against the file's size.

    Raises SlideRefused for a page that claims more than there is or whose tiles are too large.
    """
    import tifffile

    found = []
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path, is_ome=False) as tiff:
            if not tiff.is_ndpi:  # whose pointers have a form of their own
                _check_chain(path)
            for page in itertools.islice(tiff.pages, _MAX_PAGES):
                for one in (page, *_below(tiff, page)):
                    if one.is_tiled:
                        found.append(_page(one, size))
    except SlideRefused:
        raise
    except Exception:  # noqa: BLE001 - tifffile lets whatever a damaged tag causes escape
        raise SlideRefused("The slide's header is damaged; please copy or export it again.") from None
    return found


def _check_chain(path: Path) -> None:
    """Follow the file's list of pages to its end: a file that was cut short mostly still shows its first page, and lacks what came behind.

    The list is that of TIFF 6.0 section 2, or BigTIFF's with wider numbers. Raises SlideRefused for one that leaves the file, runs in a circle or has no end.
    """
    size, seen = path.stat().st_size, set()
    with path.open("rb") as file:
        head = file.read(16)
        order, big = ("<" if head[:1] == b"I" else ">"), head[2:4] in (b"+\x00", b"\x00+")
        count, entry, pointer = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
        place = struct.unpack_from(pointer, head, 8 if big else 4)[0]
        while place:
            if place in seen or len(seen) >= _MAX_PAGES:
                raise SlideRefused("The file lists more pages than slides have; please export the slide again.")
            seen.add(place)
            file.seek(place)
            entries = file.read(struct.calcsize(count))
            if len(entries) < struct.calcsize(count):
                raise SlideRefused(_SHORT)
            place += struct.calcsize(count) + entry * struct.unpack(count, entries)[0]
            if place + struct.calcsize(pointer) > size:
                raise SlideRefused(_SHORT)
            file.seek(place)
            place = struct.unpack(pointer, file.read(struct.calcsize(pointer)))[0]


def _below(tiff: Any, page: Any) -> list[Any]:
    import tifffile

    pages = []
    for number, offset in enumerate((getattr(page, "subifds", None) or ())[:_MAX_PAGES]):
        tiff.filehandle.seek(offset)
        pages.append(tifffile.TiffPage(tiff, (0, 0, number)))
    return pages


def _page(page: Any, size: int) -> TilePage:
    width, height, tile = page.imagewidth, page.imagelength, (page.tilewidth, page.tilelength)
    if min(width, height, *tile) < 1:
        raise SlideRefused("The slide says that it has no pixels; please export it again.")
    if tile[0] * tile[1] > READ_TILE_PX:
        raise SlideRefused(
            f"The slide stores its pixels in tiles of {tile[0]:,} × {tile[1]:,}, all of which must be decoded for any part; please export it with tiles of 256 or 512."
        )
    nx, ny = -(-width // tile[0]), -(-height // tile[1])
    planes = page.samplesperpixel if int(page.planarconfig) == 2 else 1
    if nx * ny * planes > MAX_TILES:
        raise SlideRefused(
            f"The slide claims {width:,} × {height:,} pixels in {nx * ny:,} tiles, more than any scanner makes; please export it again."
        )
    offsets, counts = np.asarray(page.dataoffsets, np.uint64), np.asarray(page.databytecounts, np.uint64)
    if len(offsets) != len(counts) or len(offsets) != nx * ny * planes * max(1, page.imagedepth):
        raise SlideRefused(_LIES)
    ends = offsets + counts
    if (ends < offsets).any() or (ends[counts > 0] > size).any():
        raise SlideRefused(_SHORT)
    coding, photometric = int(page.compression), int(page.photometric)
    passes = (
        coding == _JPEG and page.bitspersample == 8 and planes == 1 and page.imagedepth == 1
        and (page.samplesperpixel, photometric) in ((3, _RGB), (3, _YCBCR), (1, _GREY))
    )  # fmt: skip
    return TilePage(
        width, height, tile, coding, np.stack([offsets, counts], axis=1), head(page.jpegtables, rgb=photometric == _RGB), passes
    )


def head(tables: bytes | None, *, rgb: bool) -> bytes:
    """What stands before a tile's own bytes, in place of its first two (start of image). `tables` is the whole JPEGTables tag."""
    inner = b""
    if tables and tables[:2] == _START:
        inner = tables[2:-2] if tables[-2:] == b"\xff\xd9" else tables[2:]
    return _START + (_RGB_MARK if rgb else b"") + inner
