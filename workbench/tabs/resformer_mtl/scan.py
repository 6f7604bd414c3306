"""What this tab offers to look at, which task's network is asked first, and the true outline where that is known."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from workbench.examples import Example, from_assets, from_data, phantom
from workbench.pictures import Shown
from workbench.working_scan import Scan, resized_mask

OCT = (0, 2, 5)
"""Numbers of the OCT-like phantoms among the test phantoms that ship as DICOM files, `assets/examples/oct_phantom_<n>.dcm`."""
PHANTOM = "the phantom's own outline"
BUSI = "the outline that comes with BUSI"
_OCT_NAME = re.compile(r"asset:oct_phantom_(\d+)\.dcm")


def examples() -> list[Example]:
    """Real scans of the data folder where the host has them, OCT-like phantoms with DICOM headers, breast-ultrasound-like phantoms."""
    real = from_data("busi-subset/images", ["benign_003.png", "malignant_001.png"], "Breast ultrasound, real")
    made = from_assets([f"oct_phantom_{number}.dcm" for number in OCT], "Retina-OCT-like phantom (DICOM)")
    return [*real, *made, phantom("breast_ultrasound", 4), phantom("breast_ultrasound", 9)]


def task_of(shown: Shown) -> str:
    """Which task's network is asked first about a picture."""
    return "oct" if _OCT_NAME.fullmatch(shown.id) else "busi"


def truth(made: Scan) -> tuple[np.ndarray | None, str]:
    """(true outline bool (H, W) of everything there, where it is from): of a phantom or a BUSI example; None where it is not known."""
    return _outline(made), BUSI if made.picture.shown.id.startswith("data:") else PHANTOM


def _outline(made: Scan) -> np.ndarray | None:
    number = _OCT_NAME.fullmatch(made.picture.shown.id)
    if number:
        return resized_mask(_oct(int(number[1])), made.size)
    key = made.picture.phantom
    if key is None:
        return _drawn_by_hand(made)
    from models.shared.data import phantoms

    return resized_mask(phantoms.sample(key.family, key.seed, size=key.side_px).lesion_mask, made.size)


def _drawn_by_hand(made: Scan) -> np.ndarray | None:
    """The mask that comes with a BUSI example of the data folder."""
    from workbench.examples import data_path
    from workbench.imaging import load

    path = (
        data_path(made.picture.shown.id.replace("/images/", "/masks/")) if made.picture.shown.id.startswith("data:busi-subset/") else None
    )
    if path is None or not path.is_file():
        return None
    drawn = load(path).display()
    return resized_mask((drawn if drawn.ndim == 2 else drawn.max(axis=-1)) > 127, made.size)


@lru_cache(maxsize=8)
def _oct(number: int) -> np.ndarray:
    from models.resformer_mtl import oct
    from models.shared.data import phantoms

    return oct.sample(phantoms.split_seeds("test", 1, number)[0], 256).mask > 0
