"""The size that a JPEG, JPEG-LS or JPEG 2000 stream itself declares, so that it is checked before a decoder trusts it.

Sources: ITU-T T.81 annex B (JPEG markers), T.87 annex C (JPEG-LS), T.800 annex A (the SIZ marker of JPEG 2000).
"""

from __future__ import annotations

from typing import NamedTuple

from workbench.imaging.limits import InputRefused, Limits

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})  # 0xF7: JPEG-LS
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})  # no length follows


class StreamSize(NamedTuple):
    """Rows, columns and components of a compressed stream."""

    rows: int
    columns: int
    components: int


def declared_size(data: bytes) -> StreamSize | None:
    """What the stream declares, or None when it is of another kind or leaves the size open."""
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)  # also inside a JP2 wrapper
    if start >= 0 and len(data) >= start + 42:
        words = [int.from_bytes(data[start + at : start + at + 4], "big") for at in (8, 12, 16, 20)]
        components = int.from_bytes(data[start + 40 : start + 42], "big")
        return StreamSize(words[1] - words[3], words[0] - words[2], components)
    return None


def _jpeg_size(data: bytes) -> StreamSize | None:
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            rows, columns = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return StreamSize(rows, columns, data[at + 9]) if rows and columns else None
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def check_scans(data: bytes, *, limits: Limits) -> None:
    """Refuse a JPEG with so many passes that decoding would take minutes. Raises InputRefused."""
    if data.count(b"\xff\xda") > limits.max_jpeg_scans:
        raise InputRefused("The JPEG picture is built from far more passes than real ones are; please export it again.")
