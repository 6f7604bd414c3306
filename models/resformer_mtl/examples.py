"""Draws the examples that ship: OCT-like phantoms as DICOM files with their pixel spacing, and a ZIP of breast-ultrasound-like phantoms with masks.

python -m models.resformer_mtl.examples assets/examples
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from models.resformer_mtl import oct
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom

SIDE = 256
NUMBERS = (0, 2, 5)


def oct_dicom(number: int) -> bytes:
    """Test phantom `number` as an 8-bit DICOM image of one frame; it says that it is a phantom, and names nobody."""
    scan = oct.sample(phantoms.split_seeds("test", 1, number)[0], SIDE)
    spacing = tuple(mm / SIDE for mm in oct.FIELD_MM)
    return phantom_dicom(
        scan.image, kind="oct", number=number, modality="OPT", spacing_mm=spacing, orientation=(1, 0, 0, 0, 0, -1), thickness_mm=0.1
    )


def masked_zip(n: int = 36, side: int = 96) -> bytes:
    """Breast-ultrasound-like phantoms as `images/<class>/<n>.png` and `masks/<class>/<n>.png`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, seed in enumerate(phantoms.split_seeds("train", n, 5000)):
            one = phantoms.sample("breast_ultrasound", seed, size=side)
            kind = one.label.replace(" ", "-")
            for folder, pixels in (("images", (one.image * 255).round()), ("masks", one.lesion_mask * 255)):
                png = io.BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(png, "PNG", optimize=True)
                packed.writestr(zipfile.ZipInfo(f"{folder}/{kind}/{number:02d}.png"), png.getvalue())
    return stream.getvalue()


def main(folder: str) -> int:
    """Write all of them."""
    place = Path(folder)
    for number in NUMBERS:
        (place / f"oct_phantom_{number}.dcm").write_bytes(oct_dicom(number))
    (place / "breast_phantoms_masks.zip").write_bytes(masked_zip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
