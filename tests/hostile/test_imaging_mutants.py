"""Real files with a few bytes changed: whatever comes of it, the border answers with a Study or one sentence."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

pytestmark = [pytest.mark.hostile, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def tiff_bytes(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def nifti() -> bytes:
    return nibabel.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.eye(4)).to_bytes()


PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
WHOLE = {
    **{name: PACKAGED / name for name in ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "image_dfl.dcm")},
    **{name: PACKAGED / name for name in ("SC_rgb_jpeg_dcmtk.dcm", "JPGExtended.dcm", "rtdose.dcm", "examples_palette.dcm")},
    "a.jpg": encoded(NOISE, "JPEG"), "a.webp": encoded(NOISE, "WEBP"), "a.nii": nifti(),
    "lzw.tif": tiff_bytes(np.arange(4_000, dtype=np.uint16).reshape(40, 100), compression="lzw"),
    "jpeg.tif": tiff_bytes(np.zeros((64, 64, 3), np.uint8), compression="jpeg", photometric="rgb"),
}  # fmt: skip


def mutants(count: int) -> dict[str, bytes]:
    """`count` damaged copies of each whole file: bytes overwritten, cut out or put in, more often near the head. Always the same ones."""
    chance, made = random.Random(20), {}
    for name, whole in WHOLE.items():
        for number in range(count):
            data = bytearray(whole if isinstance(whole, bytes) else whole.read_bytes())
            for _ in range(chance.choice((1, 2, 5, 20))):
                at, kind = int(len(data) * chance.random() ** chance.choice((1, 3))), chance.randrange(4)
                if kind == 0:
                    data[at] = chance.choice((0, 1, 127, 128, 255))
                elif kind == 1:
                    data[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
                elif kind == 2:
                    del data[at : at + chance.randrange(1, 9)]
                else:
                    data[at:at] = chance.randbytes(chance.randrange(1, 9))
            made[f"mutant-{number}-{name}"] = bytes(data)
    return made


def test_damaged_copies_of_real_files(tmp_path, load_in_children):
    damaged = mutants(12)
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
    answers, _log = load_in_children([tmp_path / name for name in damaged])
    for name, (kind, said, seconds, peak) in zip(damaged, answers, strict=True):
        assert kind in ("refused", "loaded"), (name, said)
        assert all(sentence.endswith(".") and "\n" not in sentence for sentence in said), name
        assert seconds < 1.0, name
        assert peak < 300, name
