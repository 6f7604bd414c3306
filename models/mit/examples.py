"""Draws the examples that ship: test phantoms with two or three lesions, as DICOM files, with notes and phrases that go with them.

python -m models.mit.examples assets/examples
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.shared.backbones.language.referring import Referral, refer
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.phantoms.notes import VERDICTS, Note, note

SIDE = 256
MODALITY = {"chest_xray": "DX", "breast_ultrasound": "US", "brain_mr": "MR", "liver_ct": "CT"}
NUMBERED = (("liver_ct", 3, 2), ("chest_xray", 5, 2), ("liver_ct", 7, 1), ("chest_xray", 11, 1))
"""Family, number among its test phantoms, and how many lesions."""


@dataclass(frozen=True, eq=False)
class Example:
    """A phantom with what can be asked of it."""

    phantom: phantoms.Phantom
    notes: tuple[Note, ...]
    """One of each verdict, where the phantom has one lesion."""
    phrases: tuple[Referral, ...]


def example(family: str, number: int, count: int, side: int = SIDE) -> Example:
    """Test phantom `number` of a family with so many lesions at most."""
    drawn = phantoms.sample(family, phantoms.split_seeds("test", 1, number)[0], size=side, count=count)
    random = np.random.default_rng([number, 0x317])
    said = tuple(note(drawn, verdict, random) for verdict in VERDICTS) if len(drawn.lesions) == 1 else ()
    found = [refer(drawn.lesions, random, (kind,)) for kind in ("place", "looks", "order", "other")] if len(drawn.lesions) > 1 else []
    return Example(drawn, said, tuple({one.text: one for one in found}.values()))


def file_name(family: str, number: int) -> str:
    """Of the shipped file."""
    return f"mit_{family}_{number}.dcm"


def main(folder: str) -> int:
    """Write all of them."""
    for family, number, count in NUMBERED:
        drawn = example(family, number, count).phantom
        mm = drawn.spacing_mm
        data = phantom_dicom(
            drawn.image, kind=family.replace("_", "-"), number=number, modality=MODALITY[family], spacing_mm=(mm, mm), orientation=(1, 0, 0, 0, 1, 0),
            thickness_mm=1,
        )  # fmt: skip
        (Path(folder) / file_name(family, number)).write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
