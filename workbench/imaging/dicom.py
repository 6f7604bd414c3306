"""DICOM through pydicom 3: header facts, then one frame decoded at a time.

Order of work: walk the structure (dicom_scan) → read the listed tags only (dicom_header) → hold size × bits × frames against the file's
real size → decode the asked frame. JPEG and JPEG 2000 go to Pillow first, JPEG-LS and lossless JPEG to GDCM; run-length,
12-bit JPEG and high-throughput JPEG 2000 to imagecodecs. Deflated data sets are unpacked by this project's bounded inflate, since
pydicom would unpack them whole. Known deviations: overlays are not drawn, and a dose grid keeps its stored numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from workbench.imaging.codestream import check_scans, declared_size
from workbench.imaging.dicom_header import KEYWORDS, Header, read_header
from workbench.imaging.dicom_scan import (
    CUT_SHORT,
    DEFLATED,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_KEYWORDS,
    Encoding,
    PixelElement,
    check_fragments,
    find_pixels,
    guess_encoding,
    read_preface,
)
from workbench.imaging.files import RAW_DEFLATE, Content
from workbench.imaging.limits import InputRefused, Limits, check_frame, check_frame_count, check_ratio
from workbench.imaging.study import Decoded, as_pixels
from workbench.imaging.windows import FULL_8_BIT, automatic

_NO_PICTURE = "This DICOM file holds no picture (it may be a report, a plan or a list of other files); please choose an image file."
_CODING = "This DICOM picture is compressed in a way that cannot be read here; please export it uncompressed or as JPEG 2000."
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_RUN_LENGTH = "1.2.840.10008.1.2.5"
_HIGH_THROUGHPUT = tuple(f"1.2.840.10008.1.2.4.20{number}" for number in (1, 2, 3))
_NO_END = "The compressed picture lacks its end mark, so its lower part may be missing."


@dataclass(frozen=True)
class DicomReader:
    """Decodes single frames of one DICOM file."""

    content: Content
    header: Header
    pixels: PixelElement
    options: dict[str, Any]  # pydicom's own decoding options, numbers and codes only
    limits: Limits
    default_frame: int = 0

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.header.frames

    @property
    def photometric(self) -> str:
        """The file's colour model, a DICOM code."""
        return self.header.photometric

    @property
    def modality(self) -> str:
        """The file's modality, a DICOM code, or "unknown"."""
        return self.header.modality

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that hold for every frame."""
        return self.header.warnings

    def decode(self, frame: int) -> Decoded:
        """Frame `frame` with physical values (grey) or as RGB. Raises InputRefused when its stream does not fit the header."""
        with self.content.open() as handle:
            notes = self._check_stream(handle, frame) if self.pixels.length is None else ()
            array = self._stored(handle, frame)
        facts = self.header.facts[frame if len(self.header.facts) > 1 else 0]
        notes += facts.warnings
        if self.header.palette is not None:
            return Decoded(_palette_colours(array, self.header.palette), facts.spacing_mm, warnings=notes)
        if array.ndim == 3:
            pixels, more = as_pixels(array)
            stored = int(self.options.get("bits_stored") or self.header.bits)
            return Decoded(pixels, facts.spacing_mm, full_scale=float(2**stored - 1), warnings=notes + more)
        pixels, more = as_pixels(self._physical(array, facts.slope, facts.intercept))
        eight_bit = array.dtype == np.uint8 and self.options.get("bits_stored") == 8
        plain = eight_bit and (facts.slope, facts.intercept) == (1.0, 0.0) and self.header.modality_table is None
        own = facts.windows + ((FULL_8_BIT,) if plain else automatic(pixels))
        return Decoded(pixels, facts.spacing_mm, own, facts.function, self.header.table, warnings=notes + more)

    def _physical(self, array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
        if self.header.modality_table is not None:
            from pydicom.pixels import apply_modality_lut

            return apply_modality_lut(array, self.header.modality_table)
        if (slope, intercept) == (1.0, 0.0):
            return array
        exact = np.float64 if array.dtype.itemsize > 2 else np.float32
        return array.astype(exact) * exact(slope) + exact(intercept)

    def _check_stream(self, handle: BinaryIO, frame: int) -> tuple[str, ...]:
        """Hold one compressed frame's own declaration against the header, before any decoder sees it."""
        data = self._encoded(handle, frame)
        rows, columns = self.header.rows, self.header.columns
        size = declared_size(data)
        if size and (size.rows, size.columns) != (rows, columns):
            raise InputRefused("The DICOM header and its compressed picture disagree about the size; please export the picture again.")
        check_scans(data, limits=self.limits)
        check_ratio(rows * columns * self.header.samples * math.ceil(self.header.bits / 8), len(data), limits=self.limits)
        jpeg = data[:2] == b"\xff\xd8" or data[:2] == b"\xff\x4f"
        return (_NO_END,) if jpeg and b"\xff\xd9" not in data[-8:] else ()

    def _encoded(self, handle: BinaryIO, frame: int) -> bytes:
        from pydicom.encaps import get_frame

        handle.seek(self.pixels.offset)
        return get_frame(handle, frame, number_of_frames=self.frames, extended_offsets=self.options.get("extended_offsets"))

    def _by_imagecodecs(self, handle: BinaryIO, frame: int) -> np.ndarray:
        """12-bit JPEG and high-throughput JPEG 2000, which pydicom's plugins at hand do not read; grey only."""
        from imagecodecs import jpeg2k_decode, jpeg_decode

        data = self._encoded(handle, frame)
        array = jpeg_decode(data) if data[:2] == b"\xff\xd8" else jpeg2k_decode(data)
        if array.shape != (self.header.rows, self.header.columns):
            raise InputRefused(_CODING)
        return array

    def _run_length(self, handle: BinaryIO, frame: int) -> np.ndarray:
        """Run-length frames: unpacked no further than the frame's size by imagecodecs, then laid out by pydicom."""
        from imagecodecs import dicomrle_decode
        from pydicom.pixels import get_decoder
        from pydicom.uid import ExplicitVRLittleEndian

        if self.header.bits < 8:
            raise InputRefused(_CODING)
        size = self.header.rows * self.header.columns * self.header.samples * self.header.bits // 8
        data = dicomrle_decode(self._encoded(handle, frame), np.dtype(f"<u{self.header.bits // 8}"), out=size)
        if len(data) < size:
            raise InputRefused(CUT_SHORT)
        options = {**self.options, "transfer_syntax_uid": ExplicitVRLittleEndian, "number_of_frames": 1, "pixel_vr": "OW"}
        # run-length frames hold one colour after the other whatever the header says (PS3.5 annex G)
        options |= {"planar_configuration": 1} if self.header.samples > 1 else {}
        return get_decoder(ExplicitVRLittleEndian).as_array(bytes(data), index=0, raw=False, **options)[0]

    def _stored(self, handle: BinaryIO, frame: int) -> np.ndarray:
        """Stored values (H, W) or RGB (H, W, 3) as pydicom gives them."""
        from pydicom.pixels import get_decoder

        syntax = str(self.options["transfer_syntax_uid"])
        if syntax in _HIGH_THROUGHPUT or (syntax == _JPEG_EXTENDED and self.options.get("bits_stored") == 12):
            return self._by_imagecodecs(handle, frame)
        if syntax == _RUN_LENGTH:
            return self._run_length(handle, frame)
        try:
            decoder = get_decoder(self.options["transfer_syntax_uid"])
        except NotImplementedError:
            raise InputRefused(_CODING) from None
        if not decoder.is_available:
            raise InputRefused(_CODING)
        # Pillow keeps to the stream's own limits and reports damage; GDCM reads more kinds but guesses at damaged ones
        for plugin in ("pillow", "") if "pillow" in decoder.available_plugins else ("",):
            handle.seek(self.pixels.offset)
            try:
                return decoder.as_array(handle, index=frame, raw=False, decoding_plugin=plugin, **self.options)[0]
            except RuntimeError:
                if not plugin:
                    raise
        raise InputRefused(_CODING)


def open_dicom(content: Content, *, limits: Limits) -> DicomReader:
    """Walk, read and check a DICOM header → reader. Raises InputRefused for what the limits, the structure or the header forbid."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset
    from pydicom.pixels.utils import as_pixel_options
    from pydicom.uid import UID

    with content.open() as handle:
        preface = read_preface(handle, limits)
    start, syntax = preface.dataset_offset, preface.transfer_syntax
    if syntax == DEFLATED:
        content = content.inflate(
            start=start, window_bits=RAW_DEFLATE, cap=limits.max_inflated_bytes, free_bytes=limits.ratio_free_bytes, limits=limits
        )
        start, syntax = 0, EXPLICIT_LITTLE
    tags = frozenset(tag_for_keyword(keyword) for keyword in KEYWORDS)
    with content.open() as handle:
        encoding = guess_encoding(handle, start, syntax)
        pixels = find_pixels(handle, start, size=content.size, encoding=encoding, wanted=tags, limits=limits)
        if pixels is None:
            raise InputRefused(_NO_PICTURE)
        if pixels.length is None:
            check_fragments(handle, pixels, size=content.size, limits=limits)
        handle.seek(start)
        dataset = read_dataset(handle, *encoding, stop_when=lambda tag, vr, length: tag in PIXEL_KEYWORDS, specific_tags=list(tags))
    header = read_header(dataset)
    _check_claims(header, pixels, limits=limits)
    syntax = syntax or _plain_syntax(encoding)
    options = as_pixel_options(dataset, number_of_frames=header.frames, pixel_keyword=pixels.keyword, transfer_syntax_uid=UID(syntax))
    if pixels.vr:
        options["pixel_vr"] = pixels.vr
    options["photometric_interpretation"] = header.photometric
    options["samples_per_pixel"] = header.samples
    return DicomReader(content, header, pixels, options, limits)


def _plain_syntax(encoding: Encoding) -> str:
    if encoding.implicit:
        return IMPLICIT_LITTLE
    return EXPLICIT_LITTLE if encoding.little else "1.2.840.10008.1.2.2"


def _check_claims(header: Header, pixels: PixelElement, *, limits: Limits) -> None:
    """Hold rows × columns × samples × bits × frames against the limits and against the bytes that are really there."""
    check_frame_count(header.frames, limits=limits)
    colour = 3 if header.samples == 3 or header.palette is not None else 1
    check_frame(header.rows, header.columns, colour, limits=limits)
    needed = header.rows * header.columns * header.samples * header.bits * header.frames
    if header.photometric == "YBR_FULL_422":
        needed = needed * 2 // 3  # two pixels share their colour when stored uncompressed
    if pixels.length is not None and pixels.length * 8 < needed:
        raise InputRefused(CUT_SHORT)


def _palette_colours(index: np.ndarray, palette: Any) -> np.ndarray:
    """Palette indices (H, W) → float32 RGB (H, W, 3) from 0 to 255."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(index, palette)[..., :3]
    pixels = as_pixels(colours)[0]
    # 16-bit palettes are scaled down, unless their writer only used the low 8 bits
    return pixels / np.float32(257.0) if colours.dtype.itemsize == 2 and colours.max() > 255 else pixels
