"""The picture this tab works on: the visitor's picture at a working size, how the canvas shows it, what is marked and asked first.

Masks live in the working plane, at most WORK_PX on the longer side: segmenters answer in an eighth of that, CLIP looks at less. The canvas draws the
picture itself at full size under them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from models.shared.backbones.clip.prompts import CLASS_NAMES
from models.shared.data import phantoms
from workbench.context import Context
from workbench.examples import Example, PhantomKey, from_data, phantom
from workbench.parts.segments import Segment
from workbench.pictures import Picture, Shown

WORK_PX = 512
PLAIN_QUESTION = ("normal scan", "scan with a lesion")
"""Asked about a picture nothing is known of, until people write their own class names."""
_REAL = {"brain-tumor-mri": "brain_mri", "busi-subset": "busi"}


@dataclass(frozen=True, eq=False)
class Scan:
    """A picture ready for the methods."""

    picture: Picture
    pixels: np.ndarray
    """uint8 (H, W) or (H, W, 3) in the working plane."""

    @property
    def id(self) -> str:
        """Of exactly this picture; what is marked on another one is told apart by it."""
        return self.picture.content_hash[:24]

    def for_canvas(self) -> dict[str, Any]:
        """The prop `picture` of the prompt canvas."""
        height, width = self.pixels.shape[:2]
        return {"id": self.id, "url": self.picture.url, "width": width, "height": height, "alt": self.picture.title}


def scan(context: Context, request: Any, shown: Shown) -> Scan:
    """The picture behind `shown`, for the visitor behind `request`. PictureGone or InputRefused with a sentence."""
    picture = context.pictures.get(request, shown)
    return Scan(picture, _working(picture.pixels))


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


def _working(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = WORK_PX / max(height, width)
    if scale >= 1:
        return pixels
    from PIL import Image

    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
