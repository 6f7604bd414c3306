"""What this tab offers to look at, and the true structures where they are known."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from workbench.examples import Example, from_assets, phantom
from workbench.pictures import Shown
from workbench.working_scan import Scan, resized_mask

HEARTS = (1, 4, 7)
"""Numbers of the heart-slice phantoms among the test phantoms that ship as DICOM files, `assets/examples/heart_phantom_<n>.dcm`."""
PLAIN = 2
"""Of the test phantom that ships as a PNG. It comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
PHANTOM = "the phantom's own outline"
_NAME = re.compile(r"asset:heart_phantom_(\d+)\.(?:dcm|png)")


def examples() -> list[Example]:
    """Heart-slice phantoms, all but the first with DICOM headers; beside them a phantom of another kind, which the networks have never seen."""
    plain = from_assets([f"heart_phantom_{PLAIN}.png"], "Heart-slice phantom")
    made = from_assets([f"heart_phantom_{number}.dcm" for number in HEARTS], "Heart-slice phantom (DICOM)")
    return [*plain, *made, phantom("breast_ultrasound", 4)]


def is_heart(shown: Shown) -> bool:
    """Whether it is one of the phantoms that the shipped networks were made for."""
    return _NAME.fullmatch(shown.id) is not None


def truth(made: Scan) -> tuple[np.ndarray | None, str]:
    """(true outline bool (H, W) of everything there, where it is from); None where it is not known."""
    found = structures(made)
    if found is not None:
        return found > 0, PHANTOM
    key = made.picture.phantom
    if key is None:
        return None, PHANTOM
    from models.shared.data import phantoms

    return resized_mask(phantoms.sample(key.family, key.seed, size=key.side_px).lesion_mask, made.size), PHANTOM


def structures(made: Scan) -> np.ndarray | None:
    """uint8 (H, W): 0 nothing, else the structure's number; None for what is no heart-slice phantom."""
    number = _NAME.fullmatch(made.picture.shown.id)
    return resized_mask(_heart(int(number[1])), made.size) if number else None


@lru_cache(maxsize=8)
def _heart(number: int) -> np.ndarray:
    from models.semsim.examples import heart

    return heart(number).mask
