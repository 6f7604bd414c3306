"""What this tab offers to look at, what is marked and asked first, and the truth about phantoms. Masks live in the plane of `workbench.working_scan`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.shared.backbones.clip.prompts import CLASS_NAMES
from models.shared.data import phantoms
from workbench.examples import Example, PhantomKey, from_data, phantom
from workbench.parts.segments import Segment
from workbench.pictures import Picture
from workbench.working_scan import WORK_PX, Scan, scan

PLAIN_QUESTION = ("normal scan", "scan with a lesion")
"""Asked about a picture nothing is known of, until people write their own class names."""
_REAL = {"brain-tumor-mri": "brain_mri", "busi-subset": "busi"}

__all__ = ["WORK_PX", "Scan", "class_names", "examples", "first_marks", "scan", "source_of", "truth"]


def examples() -> list[Example]:
    """What the gallery offers: a phantom of each family, and real scans of the data folder where the host has them."""
    made = [phantom("brain_mr", 0), phantom("liver_ct", 5), phantom("breast_ultrasound", 4), phantom("chest_xray", 7)]
    real = [
        *from_data("brain-tumor-mri/glioma", ["Te-gl_0025.jpg"], "Brain MRI, real"),
        *from_data("brain-tumor-mri/meningioma", ["Te-me_0014.jpg"], "Brain MRI, real"),
        *from_data("busi-subset/images", ["benign_003.png"], "Breast ultrasound, real"),
    ]
    return made + real


def first_marks(made: Scan) -> list[Segment]:
    """On a phantom with a lesion: one click on the lesion's known middle, still to be outlined. On any other picture nothing."""
    key = made.picture.phantom
    truth = phantoms.sample(key.family, key.seed, size=key.side_px) if key else None
    if truth is None or not truth.lesions:
        return []
    lesion = max(truth.lesions, key=lambda one: int(one.mask.sum()))
    rows, columns = np.nonzero(lesion.mask)
    nearest = int(np.argmin((rows - lesion.centre[0]) ** 2 + (columns - lesion.centre[1]) ** 2))  # a ring's middle lies outside it
    return [Segment(0, "", None, origin="click", points=((float(columns[nearest]), float(rows[nearest]), 1),))]


def source_of(picture: Picture) -> str:
    """Phantom family or real set a picture comes from, as class names and trained heads go by; "" for people's own pictures."""
    if picture.phantom:
        return picture.phantom.family
    return next((name for folder, name in _REAL.items() if picture.shown.id.startswith(f"data:{folder}/")), "")


def class_names(picture: Picture) -> tuple[str, ...]:
    """Class names to begin with."""
    return CLASS_NAMES.get(source_of(picture), PLAIN_QUESTION)


def truth(picture: Picture, classes: tuple[str, ...]) -> int | None:
    """Place of a phantom's own class among `classes`; None where it is not known or not among them."""
    if picture.phantom is None:
        return None
    key = picture.phantom
    label, own = _label(key), phantoms.classes(key.family)
    for names in (CLASS_NAMES[key.family], own):
        if tuple(classes) == tuple(names):
            return own.index(label)
    return None


@lru_cache(maxsize=256)
def _label(key: PhantomKey) -> str:
    return phantoms.sample(key.family, key.seed, size=key.side_px).label
