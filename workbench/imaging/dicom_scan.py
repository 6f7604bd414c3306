"""A first walk over a DICOM file that reads lengths, not values: where the picture lies, and whether the structure is sane.

It stands in front of pydicom because a header of a few kilobytes can claim gigabytes, nest sequences a thousand deep or hold millions
of elements. Sources: DICOM PS3.5 chapter 7 (elements, sequences), PS3.10 chapter 7 (file meta information). As pydicom does, an
element whose value representation is not two capital letters is taken as implicit.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, NamedTuple

from workbench.imaging.limits import InputRefused, Limits

PIXEL_KEYWORDS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
UNDEFINED = 0xFFFFFFFF
IMPLICIT_LITTLE, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
EXPLICIT_LITTLE, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_FORM = frozenset((b"OB", b"OD", b"OF", b"OL", b"OW", b"OV", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_OPAQUE = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV"))
# the sequences that dicom_header opens; in implicit encoding only the tag tells that they are sequences
SEQUENCES = frozenset((0x00283000, 0x00283010, 0x00186011, 0x52009229, 0x52009230, 0x00289110, 0x00289132, 0x00289145))
CUT_SHORT = "The DICOM file is cut short: it holds less than its header says; please copy or export it again."


class Encoding(NamedTuple):
    """How the elements are written."""

    implicit: bool
    little: bool


class PixelElement(NamedTuple):
    """Where the picture's bytes lie. `length` is None for encapsulated (compressed) data."""

    keyword: str
    vr: str | None
    offset: int
    length: int | None


@dataclass(frozen=True)
class Preface:
    """What the file meta information says: the transfer syntax (None when absent) and where the data set begins."""

    transfer_syntax: str | None
    dataset_offset: int


class _Token(NamedTuple):
    tag: int
    vr: bytes | None
    length: int


class _Walker:
    """Reads element headers one after the other from a file of known size."""

    def __init__(self, handle: BinaryIO, encoding: Encoding, limits: Limits) -> None:
        order = "<" if encoding.little else ">"
        self._read, self._seek, self.tell = handle.read, handle.seek, handle.tell
        self._plain, self._short, self._long = Struct(f"{order}HHL"), Struct(f"{order}HH2sH"), Struct(f"{order}L")
        self._implicit, self._left = encoding.implicit, limits.max_elements

    def next(self) -> _Token | None:
        """The header at the present position, or None at the end of the file."""
        self._left -= 1
        if self._left < 0:
            raise InputRefused("The DICOM header holds far more entries than real ones do; please export the picture again.")
        head = self._read(8)
        if len(head) < 8:
            return None
        group, element, vr, length = self._short.unpack(head)
        tag = group << 16 | element
        if self._implicit or group == 0xFFFE or not b"AA" <= vr <= b"ZZ":
            return _Token(tag, None, self._plain.unpack(head)[2])
        if vr in _LONG_FORM:
            extra = self._read(4)
            if len(extra) < 4:
                return None
            return _Token(tag, vr, self._long.unpack(extra)[0])
        return _Token(tag, vr, length)

    def skip(self, length: int) -> None:
        """Go past a value without reading it."""
        self._seek(length, 1)


def read_preface(handle: BinaryIO, limits: Limits) -> Preface:
    """Read the file meta information (always explicit little endian) from the start of `handle`. Raises InputRefused when damaged."""
    handle.seek(128)
    start = 132 if handle.read(4) == b"DICM" else 0
    handle.seek(start)
    walker, syntax = _Walker(handle, Encoding(implicit=False, little=True), limits), None
    while True:
        at = walker.tell()
        token = walker.next()
        if token is None or token.tag >> 16 != 2:
            handle.seek(at)
            return Preface(syntax, at)
        if token.length > 2**20:
            raise InputRefused("The DICOM file's opening part is damaged; please copy or export it again.")
        value = handle.read(token.length)
        if token.tag == 0x00020010:
            syntax = value.rstrip(b"\x00 ").decode("ascii", "replace")


def guess_encoding(handle: BinaryIO, start: int, syntax: str | None) -> Encoding:
    """Encoding of the data set at `start`: by the transfer syntax, corrected by what the first element shows."""
    handle.seek(start)
    head = handle.read(6)
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    if syntax is None:
        # a first group of 1,024 or more read as little endian is a small one written big endian
        return Encoding(not explicit, not explicit or int.from_bytes(head[:2], "little") < 1024)
    return Encoding(not explicit, syntax != BIG_ENDIAN)


def find_pixels(
    handle: BinaryIO, start: int, *, size: int, encoding: Encoding, wanted: frozenset[int], limits: Limits
) -> PixelElement | None:
    """Walk the data set at `start` up to the picture → its place, or None when there is none.

    `wanted` are the tags that will be read into memory later: their lengths are held against the limits, and their nested entries counted.
    Raises InputRefused when lengths pass the end of the file, or nesting, number or size of elements pass the limits.
    """
    handle.seek(start)
    walker = _Walker(handle, encoding, limits)
    while (token := walker.next()) is not None:
        at = walker.tell()
        if token.tag in PIXEL_KEYWORDS:
            length = None if token.length == UNDEFINED else token.length
            if length is not None and at + length > size:
                raise InputRefused(CUT_SHORT)
            return PixelElement(PIXEL_KEYWORDS[token.tag], token.vr.decode() if token.vr else None, at, length)
        if token.length == UNDEFINED:
            _pass_sequence(walker, token, size=size, inward=token.tag in wanted, limits=limits)
        elif at + token.length > size:
            raise InputRefused(CUT_SHORT)
        elif token.tag in wanted:
            _check_wanted(walker, token, size=size, limits=limits)
        else:
            walker.skip(token.length)
    return None


def _check_wanted(walker: _Walker, token: _Token, *, size: int, limits: Limits) -> None:
    """Go past an element that will be read later, refusing it when reading it would cost too much."""
    listed = token.tag in SEQUENCES or token.vr == b"SQ"
    if token.length > (limits.max_header_sequence_bytes if listed else limits.max_header_value_bytes):
        raise InputRefused("An entry of the DICOM header is far larger than real ones are; please export the picture again.")
    if listed:
        _pass_sequence(walker, token, size=size, inward=True, limits=limits)
    else:
        walker.skip(token.length)


def _pass_sequence(walker: _Walker, outer: _Token, *, size: int, inward: bool, limits: Limits) -> None:
    """Go past a sequence with all that is nested in it, without recursion.

    `open_ends` holds one entry per open sequence or item: the position where it ends, or None when a delimiter will end it.
    `inward` tells to enter nested sequences of known length too, because they will be read later.
    """
    open_ends: list[int | None] = [None if outer.length == UNDEFINED else walker.tell() + outer.length]
    opaque = [outer.vr in _OPAQUE]  # fragments of a compressed picture: bytes, not elements
    while open_ends:
        if open_ends[-1] is not None and walker.tell() >= open_ends[-1]:
            open_ends.pop(), opaque.pop()
            continue
        token = walker.next()
        if token is None or (token.length != UNDEFINED and walker.tell() + token.length > size):
            raise InputRefused(CUT_SHORT)
        nested = (token.tag == _ITEM and not opaque[-1]) or (inward and (token.vr == b"SQ" or token.tag in SEQUENCES))
        if token.tag in (_ITEM_END, _SEQUENCE_END):
            open_ends.pop(), opaque.pop()
        elif token.length == UNDEFINED or nested:
            open_ends.append(None if token.length == UNDEFINED else walker.tell() + token.length)
            opaque.append(token.vr in _OPAQUE)
            if len(open_ends) > 2 * limits.max_depth:  # each level is a sequence and an item
                raise InputRefused("The DICOM header nests lists inside lists deeper than real ones do; please export the picture again.")
        else:
            walker.skip(token.length)


def check_fragments(handle: BinaryIO, pixels: PixelElement, *, size: int, limits: Limits) -> None:
    """Walk the parts of a compressed picture by their lengths: the offset table first, then the fragments (PS3.5 section A.4).

    Raises InputRefused when a part passes the end of the file, or their number or the table's size passes the limits.
    """
    handle.seek(pixels.offset)
    header, table = Struct("<HHL"), True
    for _ in range(limits.max_fragments):
        head = handle.read(8)
        if len(head) < 8:
            return  # some writers leave the end mark out
        group, number, length = header.unpack(head)
        if group << 16 | number == _SEQUENCE_END:
            return
        if handle.tell() + length > size:
            raise InputRefused(CUT_SHORT)
        if group << 16 | number != _ITEM or (table and length > 16 * limits.max_frames):
            raise InputRefused("The compressed picture in the DICOM file is put together wrongly; please export it again.")
        handle.seek(length, 1)
        table = False
    raise InputRefused("The compressed picture in the DICOM file is in far more pieces than real ones are; please export it again.")
