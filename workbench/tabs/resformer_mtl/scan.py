"""The picture this tab works on: at most WORK_PX on its longer side, with the spacing that goes with it, and its true outline where that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.context import Context
from workbench.examples import Example, from_assets, from_data, phantom
from workbench.pictures import Picture, Shown

WORK_PX = 512
OCT = (0, 2, 5)
"""Numbers of the OCT-like phantoms among the test phantoms that ship as DICOM files, `assets/examples/oct_phantom_<n>.dcm`."""
_OCT_NAME = re.compile(r"asset:oct_phantom_(\d+)\.dcm")


@dataclass(frozen=True, eq=False)
class Scan:
    """A picture ready for the method."""

    picture: Picture
    pixels: np.ndarray = field(repr=False)
    """uint8 (H, W) or (H, W, 3)."""

    @property
    def id(self) -> str:
        """Of exactly this picture; what is marked on another one is told apart by it."""
        return self.picture.content_hash[:24]

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """(row, column) of `pixels`; None when the file does not say."""
        if self.picture.spacing_mm is None:
            return None
        across = zip(self.picture.spacing_mm, self.picture.pixels.shape[:2], self.pixels.shape[:2], strict=True)
        return tuple(mm * own / now for mm, own, now in across)

    def for_canvas(self) -> dict[str, Any]:
        """The prop `picture` of the prompt canvas."""
        height, width = self.pixels.shape[:2]
        return {"id": self.id, "url": self.picture.url, "width": width, "height": height, "alt": self.picture.title}


def scan(context: Context, request: Any, shown: Shown) -> Scan:
    """The picture behind `shown`, for the visitor behind `request`. PictureGone or InputRefused with a sentence."""
    picture = context.pictures.get(request, shown)
    return Scan(picture, resized(picture.pixels, WORK_PX / max(picture.pixels.shape[:2])))


def resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Made smaller by area means; what is small enough stays."""
    if scale >= 1:
        return pixels
    from PIL import Image

    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def examples() -> list[Example]:
    """Real scans of the data folder where the host has them, OCT-like phantoms with DICOM headers, breast-ultrasound-like phantoms."""
    real = from_data("busi-subset/images", ["benign_003.png", "malignant_001.png"], "Breast ultrasound, real")
    made = from_assets([f"oct_phantom_{number}.dcm" for number in OCT], "Retina-OCT-like phantom (DICOM)")
    return [*real, *made, phantom("breast_ultrasound", 4), phantom("breast_ultrasound", 9)]


def task_of(shown: Shown) -> str:
    """Which task's network is asked first about a picture."""
    return "oct" if _OCT_NAME.fullmatch(shown.id) else "busi"


def truth(made: Scan) -> np.ndarray | None:
    """The true outline, bool (H, W), with everything that is drawn on it: of a phantom, or of a BUSI example; None where it is not known."""
    number = _OCT_NAME.fullmatch(made.picture.shown.id)
    if number:
        return _nearest(_oct(int(number[1])), made.pixels.shape[:2])
    key = made.picture.phantom
    if key is None:
        return _drawn_by_hand(made)
    from models.shared.data import phantoms

    return _nearest(phantoms.sample(key.family, key.seed, size=key.side_px).lesion_mask, made.pixels.shape[:2])


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
    return _nearest((drawn if drawn.ndim == 2 else drawn.max(axis=-1)) > 127, made.pixels.shape[:2])


@lru_cache(maxsize=8)
def _oct(number: int) -> np.ndarray:
    from models.resformer_mtl import oct
    from models.shared.data import phantoms

    return oct.sample(phantoms.split_seeds("test", 1, number)[0], 256).mask > 0


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) at another size, each pixel as its nearest."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], columns]


enlarged = _nearest
