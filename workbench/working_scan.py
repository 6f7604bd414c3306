"""A visitor's picture at the size that methods outline it at: at most WORK_PX on the longer side, with the spacing that goes with it.

Masks live in this plane: networks answer in less, and the canvas draws the picture itself at full size under them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.context import Context
from workbench.pictures import Picture, Shown

WORK_PX = 512
MAX_GIVEN = 4_000_000
"""Pixels that a program may send in one call."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A picture ready for the methods."""

    picture: Picture
    pixels: np.ndarray = field(repr=False)
    """uint8 (H, W) or (H, W, 3) in the working plane."""

    @property
    def id(self) -> str:
        """Of exactly this picture; what is marked on another one is told apart by it."""
        return self.picture.content_hash[:24]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the working plane."""
        return self.pixels.shape[:2]

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """(row, column) of `pixels`; None when the file does not say."""
        if self.picture.spacing_mm is None:
            return None
        return tuple(mm * own / now for mm, own, now in zip(self.picture.spacing_mm, self.picture.pixels.shape[:2], self.size, strict=True))

    def for_canvas(self) -> dict[str, Any]:
        """The prop `picture` of the prompt canvas."""
        height, width = self.size
        return {"id": self.id, "url": self.picture.url, "width": width, "height": height, "alt": self.picture.title}


def scan(context: Context, request: Any, shown: Shown) -> Scan:
    """The picture behind `shown`, for the visitor behind `request`. PictureGone or InputRefused with a sentence."""
    picture = context.pictures.get(request, shown)
    return Scan(picture, shrunk(picture.pixels))


def shrunk(pixels: np.ndarray, longest: int = WORK_PX) -> np.ndarray:
    """Made smaller by area means until the longer side has `longest` pixels; what is small enough stays."""
    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    from PIL import Image

    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def resized_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) at another size, each pixel as its nearest."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], columns]


def given_pixels(
    context: Context, request: Any, picture: str, pixels: Any, mm: tuple[float, float] = (0, 0)
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """The picture of a program's call with its spacing: rows of grey values, or else an example's id.

    ValueErrors with a sentence; PictureGone for an id that is nobody's or somebody else's.
    """
    if not pixels:
        made = scan(context, request, Shown(str(picture)))
        return made.pixels, made.spacing_mm
    try:
        rows = np.asarray(pixels, dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or not 0 < rows.size <= MAX_GIVEN or not ((rows >= 0) & (rows <= 255)).all():
        raise ValueError(
            f"pixels must be rows of equal length with grey values from 0 to 255, at most {MAX_GIVEN / 1e6:g} million of them."
        )
    if min(mm) < 0 or (min(mm) == 0) != (max(mm) == 0):
        raise ValueError("row_mm and column_mm are both positive, or both 0 where the size of a pixel is not known.")
    grey = np.rint(rows).astype(np.uint8)
    small = shrunk(grey)
    spacing = tuple(one * own / now for one, own, now in zip(mm, grey.shape, small.shape, strict=True)) if max(mm) else None
    return small, spacing
