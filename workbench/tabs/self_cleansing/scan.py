"""What this tab offers to outline, which network is asked first, and the true outline where that is known."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

import numpy as np

from workbench.examples import Example, data_path, from_assets, from_data, phantom
from workbench.pictures import Shown
from workbench.working_scan import Scan, resized_mask

NUMBERS = (3, 5, 8)
"""Numbers of the test slices that ship as DICOM files, `assets/examples/liver_slice_<n>.dcm`; see `models.self_cleansing.examples`."""
PLAIN = 11
"""Of the test slice that ships as a PNG. It comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
SLICE, BUSI, PHANTOM = "the made-up slice's own outline", "the outline that comes with BUSI", "the phantom's own outline"
_SLICE_NAME = re.compile(r"asset:liver_slice_(\d+)\.(?:dcm|png)")


def examples() -> list[Example]:
    """Made-up liver slices with DICOM headers, breast ultrasound of the data folder where the host has it, breast-ultrasound-like phantoms."""
    plain = from_assets([f"liver_slice_{PLAIN}.png"], "Liver-like slice, made up")
    made = from_assets([f"liver_slice_{number}.dcm" for number in NUMBERS], "Liver-like slice, made up (DICOM)")
    real = from_data("busi-subset/images", ["benign_003.png", "malignant_001.png"], "Breast ultrasound, real")
    return [*plain, *made, *real, phantom("breast_ultrasound", 4)]


def task_of(shown: Shown, tasks: Collection[str]) -> str:
    """Which of the shipped tasks' networks is asked first about a picture; '' where none fits."""
    breast = shown.id.startswith(("data:busi-subset/", "phantom:breast_ultrasound"))
    return next((task for task in (("busi",) if breast else ("plain", "liver")) if task in tasks), "")


def truth(made: Scan) -> tuple[np.ndarray | None, str]:
    """(true outline bool (H, W) of everything there, where it is from): of a made-up picture or a BUSI example; None where it is not known."""
    number = _SLICE_NAME.fullmatch(made.picture.shown.id)
    if number:
        return resized_mask(_slice(int(number[1])), made.size), SLICE
    if made.picture.phantom is not None:
        from models.shared.data import phantoms

        key = made.picture.phantom
        return resized_mask(phantoms.sample(key.family, key.seed, size=key.side_px).lesion_mask, made.size), PHANTOM
    return _drawn_by_hand(made), BUSI


def _drawn_by_hand(made: Scan) -> np.ndarray | None:
    """The mask that comes with a BUSI example of the data folder."""
    from workbench.imaging import load

    id = made.picture.shown.id
    path = data_path(id.replace("/images/", "/masks/")) if id.startswith("data:busi-subset/") else None
    if path is None or not path.is_file():
        return None
    drawn = load(path).display()
    return resized_mask((drawn if drawn.ndim == 2 else drawn.max(axis=-1)) > 127, made.size)


@lru_cache(maxsize=8)
def _slice(number: int) -> np.ndarray:
    from models.self_cleansing.examples import SIDE
    from models.self_cleansing.slices import sample

    return sample(number, SIDE, "test").mask > 0
