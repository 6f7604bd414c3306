"""Draws the examples that ship: made-up liver slices as DICOM files with their pixel spacing, and a ZIP of such slices with masks, some of them wrong.

python -m models.self_cleansing.examples assets/examples
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from models.self_cleansing.noise import plant
from models.self_cleansing.plan import Noise
from models.self_cleansing.slices import FIELD_MM, batch, sample
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.pictures import encode_png

SIDE = 256
NUMBERS = (3, 5, 8)
PLAIN = 11
"""The test slice that is written as a PNG."""
ZIP = "liver_slices_noisy_masks.zip"
_ZIP_START = 900_000
"""Of pictures that no study and no live training has."""


def slice_dicom(number: int) -> bytes:
    """Test slice `number` as an 8-bit DICOM image of one frame; it says that it is a phantom, and names nobody."""
    return phantom_dicom(
        sample(number, SIDE, "test").image,
        kind="liver slice",
        number=number,
        modality="CT",
        spacing_mm=(FIELD_MM / SIDE,) * 2,
        orientation=(1, 0, 0, 0, 1, 0),
        thickness_mm=5.0,
    )


def noisy_masks(n: int = 60, side: int = 96) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (n, side, side) uint8, masks of 0 and 255, and which of them are wrong (n,): lesions missing or too small in 30 %."""
    x, truth = batch(range(_ZIP_START, _ZIP_START + 2 * n), side, "train")
    drawn = np.flatnonzero(truth.reshape(len(truth), -1).any(axis=1))[:n]
    masks = (truth[drawn] > 0).astype(np.uint8)
    planted = plant(masks, Noise("asymmetric", 0.3, 0.6), seed=5)
    return np.rint(255 * x[drawn, 0]).astype(np.uint8), planted.labels * np.uint8(255), planted.corrupted


def masked_zip() -> bytes:
    """`images/<n>.png` and `masks/<n>.png`."""
    pictures, masks, _ = noisy_masks()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, pair in enumerate(zip(pictures, masks, strict=True)):
            for folder, pixels in zip(("images", "masks"), pair, strict=True):
                png = io.BytesIO()
                Image.fromarray(pixels).save(png, "PNG", optimize=True)
                packed.writestr(zipfile.ZipInfo(f"{folder}/{number:02d}.png"), png.getvalue())
    return stream.getvalue()


def main(folder: str) -> int:
    """Write all of them."""
    place = Path(folder)
    (place / f"liver_slice_{PLAIN}.png").write_bytes(encode_png(sample(PLAIN, SIDE, "test").image))
    for number in NUMBERS:
        (place / f"liver_slice_{number}.dcm").write_bytes(slice_dicom(number))
    (place / ZIP).write_bytes(masked_zip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
