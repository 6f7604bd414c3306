"""Draws the examples that ship: made-up chest pictures with findings, one as a PNG and the others as DICOM files.

python -m models.hsvlt.examples assets/examples
"""

from __future__ import annotations

import sys
from pathlib import Path

from models.hsvlt import findings
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.pictures import encode_png

SIDE, FIELD_MM = 256, 360.0
NUMBERS = (4, 26, 23, 0)
PLAIN = 3
"""The test picture that is written as a PNG."""


def picture_of(number: int, side: int = SIDE) -> findings.Picture:
    """Test picture `number`, as large as its file."""
    return findings.sample(phantoms.split_seeds("test", 1, number)[0], side)


def chest_dicom(number: int) -> bytes:
    """Test picture `number` as an 8-bit radiograph of one frame."""
    mm = FIELD_MM / SIDE
    return phantom_dicom(
        picture_of(number).image, kind="chest-findings", number=number, modality="DX", spacing_mm=(mm, mm), orientation=(1, 0, 0, 0, 0, -1),
        thickness_mm=1,
    )  # fmt: skip


def main(folder: str) -> int:
    """Write all of them."""
    (Path(folder) / f"chest_findings_{PLAIN}.png").write_bytes(encode_png(picture_of(PLAIN).image))
    for number in NUMBERS:
        (Path(folder) / f"chest_findings_{number}.dcm").write_bytes(chest_dicom(number))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
