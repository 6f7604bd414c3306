"""Draws the examples that ship: one test phantom with one lesion as a PNG, others with two as DICOM files, and what can be said of each.

python -m models.mit.examples assets/examples
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.shared.backbones.language.referring import KINDS, Referral, refer
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.phantoms.notes import VERDICTS, Note, note
from models.shared.data.phantoms.records import Phantom
from models.shared.data.pictures import encode_png

SIDE = 256
MODALITY = {"chest_xray": "DX", "breast_ultrasound": "US", "brain_mr": "MR", "liver_ct": "CT"}
PLAIN = ("liver_ct", 1, 1)
"""Family, number among its test phantoms, and how many lesions: of the one that is written as a PNG."""
NUMBERED = (("liver_ct", 3, 2), ("chest_xray", 0, 2))
"""The same of those that are written as DICOM files."""
DRAWS = 300
"""Phrases drawn to find all that a phantom's lesions can be called; there are a few dozen."""


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


def every_phrase(phantom: Phantom) -> Mapping[str, Referral]:
    """Text → what it means, for what the grammar can say of a phantom's lesions, place first and the most roundabout last; empty without lesions."""
    drawn = [refer(phantom.lesions, np.random.default_rng([phantom.seed, draw, 0x51])) for draw in range(DRAWS if phantom.lesions else 0)]
    return {one.text: one for one in sorted(drawn, key=lambda one: (KINDS.index(one.kind), one.text))}


def file_name(family: str, number: int) -> str:
    """Of the shipped file."""
    return f"mit_{family}_{number}.{'png' if (family, number) == PLAIN[:2] else 'dcm'}"


def main(folder: str) -> int:
    """Write all of them."""
    (Path(folder) / file_name(*PLAIN[:2])).write_bytes(encode_png(example(*PLAIN).phantom.image))
    for family, number, count in NUMBERED:
        drawn = example(family, number, count).phantom
        mm = drawn.spacing_mm
        data = phantom_dicom(
            drawn.image, kind=family.replace("_", "-"), number=number, modality=MODALITY[family], spacing_mm=(mm, mm), orientation=(1, 0, 0, 0, 1, 0),
            thickness_mm=1, hounsfield=MODALITY[family] == "CT",
        )  # fmt: skip
        (Path(folder) / file_name(family, number)).write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
