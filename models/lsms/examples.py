"""Draws the examples that ship: made-up abdominal CT slices, one as a PNG and the others as DICOM files with their pixel spacing,
and what may be said of each.

python -m models.lsms.examples assets/examples
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from models.lsms import abdomen
from models.lsms.phrases import every_phrase
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.pictures import encode_png

SIDE = 256
NUMBERS = (3, 8, 10, 9)
PLAIN = 16
"""The test slice that is written as a PNG."""

PHRASES = "abdomen_phrases.json"
"""What may be said of each, so that a page can offer it without drawing the slice anew."""


def slice_of(number: int, side: int = SIDE) -> abdomen.Slice:
    """Test slice `number`, as large as its file; 9 has no lesion."""
    return abdomen.sample(phantoms.split_seeds("test", 1, number)[0], side)


def abdomen_dicom(number: int) -> bytes:
    """Test slice `number` as a CT image of one frame in Hounsfield units, seen from the feet."""
    mm = abdomen.FIELD_MM / SIDE
    return phantom_dicom(
        slice_of(number).image, kind="abdomen", number=number, modality="CT", spacing_mm=(mm, mm), orientation=(1, 0, 0, 0, 1, 0),
        thickness_mm=5, hounsfield=True,
    )  # fmt: skip


def main(folder: str) -> int:
    """Write all of them."""
    (Path(folder) / f"abdomen_phantom_{PLAIN}.png").write_bytes(encode_png(slice_of(PLAIN).image))
    for number in NUMBERS:
        (Path(folder) / f"abdomen_phantom_{number}.dcm").write_bytes(abdomen_dicom(number))
    said = {str(number): [phrase.text for phrase in every_phrase(slice_of(number))] for number in (PLAIN, *NUMBERS)}
    (Path(folder) / PHRASES).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
