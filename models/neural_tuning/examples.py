"""Draws the examples that ship: test phantoms as DICOM files, with requests of the four tasks that go with them.

python -m models.neural_tuning.examples assets/examples
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.shared.backbones.language.tasks import TASKS, Exchange, exchange
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom

SIDE = 256
MODALITY = {"chest_xray": "DX", "breast_ultrasound": "US", "brain_mr": "MR", "liver_ct": "CT"}
NUMBERED = (("chest_xray", 9, 2), ("liver_ct", 12, 3), ("breast_ultrasound", 4, 1), ("brain_mr", 6, 2))
"""Family, number among its test phantoms, and how many lesions at most."""


@dataclass(frozen=True, eq=False)
class Example:
    """A phantom with a request of each task and its true answer."""

    phantom: phantoms.Phantom
    exchanges: tuple[Exchange, ...]


def example(family: str, number: int, count: int, side: int = SIDE) -> Example:
    """Test phantom `number` of a family with so many lesions at most."""
    drawn = phantoms.sample(family, phantoms.split_seeds("test", 1, number)[0], size=side, count=count)
    random = np.random.default_rng([number, 0x4E8])
    return Example(drawn, tuple(exchange(drawn, task, random) for task in TASKS))


def file_name(family: str, number: int) -> str:
    """Of the shipped file."""
    return f"neural_tuning_{family}_{number}.dcm"


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
