"""Draws the examples that ship: one test phantom as a PNG, others as DICOM files; and what can be asked of a phantom, with true answers.

python -m models.neural_tuning.examples assets/examples
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.shared.backbones.language.tasks import TASKS, Exchange, exchange
from models.shared.data import phantoms
from models.shared.data.phantom_dicom import phantom_dicom
from models.shared.data.pictures import encode_png

SIDE = 256
MODALITY = {"chest_xray": "DX", "breast_ultrasound": "US", "brain_mr": "MR", "liver_ct": "CT"}
PLAIN = ("breast_ultrasound", 4, 1)
"""Family, number among its test phantoms, and how many lesions at most: of the one that is written as a PNG."""
NUMBERED = (("liver_ct", 12, 3), ("chest_xray", 9, 2), ("brain_mr", 6, 2))
"""The same of those that are written as DICOM files."""
DRAWS = 80
"""Requests of each task drawn to find what can be asked of a phantom."""


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


def every_request(phantom: phantoms.Phantom) -> Mapping[str, Exchange]:
    """Request → an exchange that asks it, for much of what the grammar can ask of a phantom; task after task in their order."""
    found: dict[str, Exchange] = {}
    for task in TASKS:
        for draw in range(DRAWS):
            one = exchange(phantom, task, np.random.default_rng([phantom.seed, draw, 0x52]))
            found.setdefault(one.request, one)
    return found


def file_name(family: str, number: int) -> str:
    """Of the shipped file."""
    return f"neural_tuning_{family}_{number}.{'png' if (family, number) == PLAIN[:2] else 'dcm'}"


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
