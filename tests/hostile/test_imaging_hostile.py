"""Damaged, oversized and malicious uploads: each is answered by one plain sentence, quickly and in little memory.

Every file is made here and loaded in a child process of its own. The table is printed; run with `-s` to see it.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

pytestmark = [pytest.mark.hostile, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

MOST_SECONDS, MOST_MB = 1.0, 300

Maker = Callable[[Path], object]
MAKERS: dict[str, tuple[Maker, str]] = {}


def hostile(name: str, outcome: str = "refused") -> Callable[[Maker], Maker]:
    """Register a maker of one hostile file called `name`; `outcome` is refused, loaded or either."""

    def keep(maker: Maker) -> Maker:
        MAKERS[name] = (maker, outcome)
        return maker

    return keep


def simple(name: str, data: bytes, outcome: str = "refused") -> None:
    """Register a file that consists of these bytes."""
    hostile(name, outcome)(lambda path: path.write_bytes(data))


# --- PNG, JPEG, BMP, WebP ---


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, body: bytes = b"", extra: bytes = b"", depth: int = 8, colour: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", body or zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """zlib stream of `count` zero bytes, without holding them."""
    packer, step = zlib.compressobj(9), b"\0" * 2**20
    parts = [packer.compress(step) for _ in range(count // 2**20)] + [packer.compress(b"\0" * (count % 2**20)), packer.flush()]
    return b"".join(parts)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8).astype(np.uint8))
JPEG = encoded(NOISE, "JPEG")
PNG = encoded(NOISE, "PNG")
WEBP = encoded(NOISE, "WEBP")


def jpeg_of_size(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


simple("zero-bytes.png", b"")
simple("one-byte.jpg", b"\xff")
simple("magic-only.png", PNG[:8])
simple("size-2-31.png", png(2**31 - 1, 2**31 - 1))
simple("size-30000.png", png(30_000, 30_000))
simple("size-zero.png", png(0, 10))
simple("deep-colour-claim.png", png(20_000, 20_000, depth=16, colour=6))
simple("truncated.png", PNG[: len(PNG) // 2])
simple("bad-deflate.png", png(64, 64, body=b"x" * 500))
simple("text-bomb.png", png(10, 10, extra=chunk(b"zTXt", b"Comment\0\0" + zeros(100 * 2**20))))
hostile("bomb-9000.png")(lambda path: path.write_bytes(png(9_000, 9_000, body=zeros(9_001 * 9_000))))
simple("truncated.jpg", JPEG[: len(JPEG) // 2])
simple("size-65500.jpg", jpeg_of_size(65_500, 65_500))
simple("size-9900-in-4-kb.jpg", jpeg_of_size(9_900, 9_900))
SCAN_AT = JPEG.index(b"\xff\xda")
simple("many-scans.jpg", JPEG[:SCAN_AT] + JPEG[SCAN_AT:-2] * 500 + b"\xff\xd9")
simple("truncated.webp", WEBP[: len(WEBP) // 2])
simple("huge.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0))
simple("negative-width.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, -5, 5, 1, 24, 0, 0, 0, 0, 0, 0))

# --- TIFF ---


def tiff(*entries: tuple[int, int, int, int], next_page: int = 0, tail: bytes = b"\0" * 64) -> bytes:
    """Little-endian TIFF with one directory at byte 8; each entry is (tag, type, count, value)."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_page) + tail


def plain(width: int, height: int, *more: tuple[int, int, int, int], **options) -> bytes:
    usual = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 150), 277: (3, 1, 1)}
    usual |= {278: (4, 1, height), 279: (4, 1, width * height % 2**32)}
    usual |= {tag: rest for tag, *rest in more}
    return tiff(*((tag, *rest) for tag, rest in usual.items()), **options)


def tiff_bytes(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


simple("size-2-31.tif", plain(2**31 - 1, 2**31 - 1))
simple("size-4-billion.tif", plain(2**32 - 1, 1))
simple("pages-in-a-loop.tif", plain(4, 4, next_page=8), "either")
simple("no-strips.tif", tiff((256, 4, 1, 10), (257, 4, 1, 10)))
simple("tags-without-end.tif", plain(8, 8, (273, 4, 2**32 - 1, 150), (279, 4, 2**32 - 1, 150)))
simple("tile-2-20.tif", plain(8, 8, (322, 4, 1, 2**20), (323, 4, 1, 2**20), (324, 4, 1, 150), (325, 4, 1, 40), (259, 3, 1, 8)))
simple("deflate-bomb.tif", plain(9_900, 9_900, (259, 3, 1, 8), (279, 4, 1, 30), tail=zlib.compress(b"\0" * 900)))
simple("samples-60000.tif", plain(100, 100, (277, 3, 1, 60_000)))
simple(
    "jpeg-larger-than-its-strip.tif", plain(16, 16, (259, 3, 1, 7), (279, 4, 1, len(JPEG)), tail=b"\0" * 28 + jpeg_of_size(65_000, 65_000))
)
hostile("truncated.tif")(lambda path: path.write_bytes(tiff_bytes(np.ones((200, 200), np.uint16))[:20_000]))
hostile("pages-3000.tif")(lambda path: tifffile.imwrite(path, np.zeros((3_000, 2, 2), np.uint8), photometric="minisblack"))
simple("offset-past-the-end.tif", b"II*\0" + struct.pack("<I", 2**32 - 8))

# --- DICOM ---

META = pydicom.uid.ExplicitVRLittleEndian


def dicom(pixels: bytes = b"\0" * 16, *, syntax: str = META, **elements) -> bytes:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.7", "1.2.3", "OT"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", 4, 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = syntax not in (META, pydicom.uid.DeflatedExplicitVRLittleEndian)
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    long_form = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return struct.pack("<HH2s", group, number, vr) + (struct.pack("<HI", 0, size) if long_form else struct.pack("<H", size)) + value


DICOM = dicom()
AFTER_META = 132 + 12 + int.from_bytes(DICOM[140:144], "little")


def with_front(data: bytes, *, after: bytes = DICOM[AFTER_META:]) -> bytes:
    """The plain DICOM file with `data` in front of its data set."""
    return DICOM[:AFTER_META] + data + after


OPEN_SEQUENCE = element(0x0008, 0x1140, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
CLOSE_SEQUENCE = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


def closed_nesting(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = element(0x0008, 0x1140, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner)
    return inner


def deflated(body: bytes) -> bytes:
    head = dicom(syntax=pydicom.uid.DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    return head[:start] + body


def raw_zeros(count: int) -> bytes:
    return zeros(count)[2:-4]  # without zlib's own head and checksum


J2K = "1.2.840.10008.1.2.4.91"
BASELINE = "1.2.840.10008.1.2.4.50"
RGB = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "Rows": 64, "Columns": 64}
SIZ = struct.pack(">HHHIIIIIIIIH", 0xFF51, 41, 0, 60_000, 60_000, 0, 0, 60_000, 60_000, 0, 0, 1) + b"\x07\x01\x01"

simple("text.dcm", b"This is a letter about somebody, not a picture.\n" * 20)
simple("binary-noise.dcm", np.random.default_rng(1).bytes(5_000))
simple("preamble-only.dcm", b"\0" * 128 + b"DICM")
simple("truncated.dcm", DICOM[:-8])
simple("truncated-in-header.dcm", DICOM[: AFTER_META + 60])
simple("size-65535.dcm", dicom(Rows=65_535, Columns=65_535))
simple("size-zero.dcm", dicom(Rows=0))
simple("frames-billion.dcm", dicom(NumberOfFrames=999_999_999))
simple("frames-negative.dcm", dicom(NumberOfFrames=-5))
simple("bits-7.dcm", dicom(BitsAllocated=7))
simple("element-longer-than-file.dcm", with_front(element(0x0008, 0x0008, b"UT", b"", 0xFFFFFFF0)))
simple("deep-nesting.dcm", with_front(OPEN_SEQUENCE * 5_000 + CLOSE_SEQUENCE * 5_000))
simple("deep-nesting-never-closed.dcm", with_front(OPEN_SEQUENCE * 50_000))
hostile("deep-nesting-with-lengths.dcm", "either")(lambda path: path.write_bytes(with_front(closed_nesting(2_000))))
hostile("million-elements.dcm")(lambda path: path.write_bytes(with_front(element(0x0009, 0x0010, b"LO", b"") * 1_000_000)))
simple("unknown-syntax.dcm", dicom(encapsulate([b"\0" * 100]), syntax="1.2.840.10008.1.2.4.100"))
simple("made-up-syntax.dcm", DICOM.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"), "either")
simple("j2k-60000.dcm", dicom(encapsulate([b"\xff\x4f" + SIZ + b"\0" * 200]), syntax=J2K))
simple("j2k-60000-agreed.dcm", dicom(encapsulate([b"\xff\x4f" + SIZ + b"\0" * 200]), syntax=J2K, Rows=60_000, Columns=60_000))
simple("jpeg-in-dicom-65500.dcm", dicom(encapsulate([jpeg_of_size(65_500, 65_500)]), syntax=BASELINE, **RGB))
simple("jpeg-in-dicom-cut.dcm", dicom(encapsulate([JPEG[: len(JPEG) // 3]]), syntax=BASELINE, **RGB), "either")
simple("fragment-cut.dcm", dicom(encapsulate([JPEG]), syntax=BASELINE, **RGB)[:-2_000], "either")
simple("rle-noise.dcm", dicom(encapsulate([np.random.default_rng(2).bytes(400)]), syntax="1.2.840.10008.1.2.5"))
RLE_HEAD = struct.pack("<16I", 1, 64, *[0] * 14)
simple("rle-bomb.dcm", dicom(encapsulate([RLE_HEAD + b"\x81\x00" * 5_000_000]), syntax="1.2.840.10008.1.2.5"))
simple("pieces-million.dcm", dicom(encapsulate([JPEG]), syntax=BASELINE, **RGB)[:-8] + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_000_000)
FRAMES = element(0x5200, 0x9230, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + element(0x0028, 0x9110, b"SQ", b"") * 1_000_000)
simple(
    "million-elements-in-a-list.dcm", with_front(b"", after=DICOM[AFTER_META : DICOM.rindex(b"\xe0\x7f\x10\x00OB")] + FRAMES + DICOM[-28:])
)
simple("table-of-50-mb.dcm", with_front(element(0x0028, 0x1201, b"OW", b"\0" * 50_000_000)))
simple("jpegls-noise.dcm", dicom(encapsulate([np.random.default_rng(3).bytes(400)]), syntax="1.2.840.10008.1.2.4.80"))
simple("palette-without-colours.dcm", dicom(PhotometricInterpretation="PALETTE COLOR"))
simple("deflate-noise.dcm", deflated(b"\x07" + b"x" * 500))
hostile("deflate-bomb.dcm")(lambda path: path.write_bytes(deflated(raw_zeros(2**29))))
hostile("deflate-bomb-after-header.dcm")(
    lambda path: path.write_bytes(deflated(zlib.compress(DICOM[AFTER_META:-8] + b"\0" * 2**28, wbits=-15)))
)
simple("negative-spacing.dcm", dicom(PixelSpacing=[-1, -1]), "loaded")
simple(
    "spacing-not-a-number.dcm", with_front(b"", after=dicom(PixelSpacing=[7, 7])[AFTER_META:].replace(b"7.0\\7.0 ", b"NaN\\NaN ")), "loaded"
)
simple("png-and-dicom-at-once.png", PNG[:128] + b"DICM" + PNG[132:])

# --- NIfTI and gzip ---


def nifti(shape: tuple[int, ...] = (4, 4, 4), *, data: bytes | None = None, **fields) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["dim"][: len(shape) + 1] = (len(shape), *shape)
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + b"\0" * 4 + (b"\0" * 128 if data is None else data)


simple("truncated.nii", nifti(data=b"\0" * 100))
simple("header-cut.nii", nifti()[:347] + b"")
simple("size-32767.nii", nifti((32_767, 32_767, 32_767)))
simple("slices-30000.nii", nifti((4, 4, 30_000)))
simple("negative-size.nii", nifti((-4, 4, 4)))
simple("dimensions-99.nii", nifti().replace(struct.pack("<4h", 3, 4, 4, 4), struct.pack("<4h", 99, 4, 4, 4)))
simple("offset-nan.nii", nifti(vox_offset=np.nan))
simple("offset-negative.nii", nifti(vox_offset=-1000))
simple("offset-far.nii", nifti(vox_offset=1e30))
simple("datatype-unknown.nii", nifti(datatype=12_345))
simple("datatype-complex.nii", nifti(datatype=32, bitpix=64, data=b"\0" * 512))
simple("spacing-nan.nii", nifti(pixdim=[1, np.nan, -3, np.inf, 1, 1, 1, 1]), "loaded")
simple("affine-nan.nii", nifti(sform_code=1, srow_x=[np.nan] * 4), "loaded")
simple("scale-nan.nii", nifti(scl_slope=np.nan, scl_inter=np.inf), "either")
simple("two-file-half.nii", nifti(magic=b"ni1"))
simple("truncated.nii.gz", gzip.compress(nifti(data=np.random.default_rng(4).bytes(128)))[:-60])
simple("only-gzip-head.nii.gz", gzip.compress(nifti())[:10])
hostile("gzip-bomb.nii.gz")(
    lambda path: path.write_bytes(gzip.compress(nifti((512, 512, 1_000), data=b""), 1) + b"".join([gzip.compress(b"\0" * 2**24)] * 32))
)
simple("gzip-bomb-no-nifti.gz", gzip.compress(b"\0" * 2**26))

# --- other kinds, names and places ---

simple("archive.png", b"PK\x03\x04" + b"\0" * 200)
simple("page.png", b"<!doctype html><script>alert(1)</script>")
simple("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'/>")
simple("pickle.png", b"\x80\x04cos\nsystem\n(S'true'\ntR.")
simple("animation.gif", b"GIF89a" + b"\0" * 50)
hostile("folder.png")(lambda path: path.mkdir())
hostile("pipe.dcm")(lambda path: os.mkfifo(path))
hostile("device.nii")(lambda path: path.symlink_to("/dev/zero"))
hostile("passwords.png")(lambda path: path.symlink_to("/etc/passwd"))
hostile("dangling.png")(lambda path: path.symlink_to("nowhere"))
hostile("never-written.png")(lambda path: None)
hostile("socket\nwith a line break.png")(lambda path: path.write_bytes(b"not a picture\nat all"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, load_in_children) -> dict[str, tuple[str, list[str], float, float]]:
    """name → (refused, loaded, escaped or crashed; sentences; seconds; peak MB), measured in one forked child each."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, (maker, _) in MAKERS.items():
        maker(folder / name)
    # sparse, so that it costs no disk: larger than the limit on file size
    with (folder / "too-large.png").open("wb") as handle:
        handle.write(PNG[:8])
        handle.truncate(600 * 2**20)
    names = [*MAKERS, "too-large.png"]
    answers, log = load_in_children([folder / name for name in names])
    found = dict(zip(names, answers, strict=True))
    for name, (kind, said, seconds, peak) in found.items():
        print(f"{name!r:42} {kind:8} {seconds:6.3f} s {peak:5.0f} MB  {' '.join(said)}")
    found["stderr"] = ("log", log, 0.0, 0.0)
    return found


@pytest.mark.parametrize("name", [*MAKERS, "too-large.png"])
def test_hostile_upload(outcomes, name):
    kind, said, seconds, peak = outcomes[name]
    expected = MAKERS[name][1] if name in MAKERS else "refused"
    assert kind in (("refused", "loaded") if expected == "either" else (expected,)), said
    for sentence in said:
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert "Error" not in sentence
        assert "/" not in sentence  # no path of the server
    assert kind != "refused" or len(said) == 1
    assert seconds < MOST_SECONDS
    assert peak < MOST_MB


def test_logs_of_hostile_uploads_name_only_types(outcomes):
    ours = [line for line in outcomes["stderr"][1] if "upload could not be read" in line]
    assert ours
    for line in ours:
        assert re.fullmatch(r"A \w+ upload could not be read \(\w+\)\.", line)
    assert len(MAKERS) >= 20


def test_a_name_that_cannot_be_a_path():
    from workbench.imaging import InputRefused, load

    for path in ("a\0b", "x" * 5_000, None, 7, ""):
        with pytest.raises(InputRefused) as caught:
            load(path)
        assert str(caught.value).endswith(".")
