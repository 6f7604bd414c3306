"""Draws the examples that ship: heart-slice phantoms of the test part, one as a PNG and the others as DICOM files with their pixel spacing.

python -m models.semsim.examples assets/examples
"""

from __future__ import annotations

import sys
from pathlib import Path

from models.semsim import cardiac
from models.semsim.plan import TASKS
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.pictures import encode_png

SIDE = 256
NUMBERS = (1, 4, 7)
PLAIN = 2
"""The test phantom that is written as a PNG."""


def heart(number: int) -> cardiac.Slice:
    """Test phantom `number`, drawn larger than the networks read it."""
    return cardiac.sample(phantoms.split_seeds("test", 1, number)[0], SIDE, difficulty=TASKS["cardiac"].difficulty)


def heart_dicom(number: int) -> bytes:
    """The same as an 8-bit DICOM image of one frame; it says that it is a phantom, and names nobody."""
    mm = cardiac.FIELD_MM / SIDE
    return phantom_dicom(
        heart(number).image / 255,
        kind="heart",
        number=number,
        modality="MR",
        spacing_mm=(mm, mm),
        orientation=(1, 0, 0, 0, 1, 0),
        thickness_mm=8.0,
    )


def main(folder: str) -> int:
    """Write all of them."""
    (Path(folder) / f"heart_phantom_{PLAIN}.png").write_bytes(encode_png(heart(PLAIN).image / 255))
    for number in NUMBERS:
        (Path(folder) / f"heart_phantom_{number}.dcm").write_bytes(heart_dicom(number))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
