"""What the segmenter takes and gives back: frozen records of arrays, and the checks on prompts.

Coordinate planes, by the first letter of a name:
    i_   pixel indices of the image as given: (x, y), x to the right, y downwards; the whole number k means the centre of pixel k
    m_   pixels of the square the network sees, `side` a side, measured from the corner and less the half pixel that
         the prompt encoder adds by itself
K masks, H W image size, h = side / 4 the network's own mask size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MAX_POINTS = 256
MAX_BOXES = 32


class PromptRefused(ValueError):
    """An image or prompt the segmenter cannot use; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image after the encoder: what every later click starts from."""

    key: str
    """Content of the image, its size and the network, as one hash."""
    model: str
    """Fingerprint of the network that made it."""
    height: int
    width: int
    features: tuple[Tensor, Tensor, Tensor]
    """Embedding (1, C, side/16, side/16), then the finer maps (1, C/8, side/4, side/4) and (1, C/4, side/8, side/8), float32."""

    @property
    def nbytes(self) -> int:
        """Memory the features take."""
        return sum(feature.numel() * feature.element_size() for feature in self.features)


@dataclass(frozen=True, eq=False)
class Masks:
    """The answer to one prompt."""

    masks: np.ndarray
    """(K, H, W) bool. K is 3 candidates, 1 when only one was wanted, or one per box when several boxes were given."""
    scores: np.ndarray
    """(K,) float32, the network's own estimate of each mask's intersection over union, 0 to 1."""
    logits: np.ndarray
    """(K, h, h) float32 between -32 and 32; one of them can go in as `mask_input` of the next call."""
    best: int
    """Index of the highest score."""

    @property
    def mask(self) -> np.ndarray:
        """The best mask, (H, W) bool."""
        return self.masks[self.best]


@dataclass(frozen=True, eq=False)
class Proposal:
    """One segment found without a prompt."""

    mask: np.ndarray
    """(H, W) bool."""
    area: int
    """Pixels in the mask."""
    score: float
    """The network's own estimate of the mask's intersection over union, 0 to 1."""
    stability: float
    """Intersection over union of the mask cut a little higher and a little lower, 0 to 1."""
    point: tuple[int, int]
    """The (x, y) grid point it grew from, pixel indices."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 of the mask, pixel indices, the last ones included."""


Point = Sequence[float]
Box = Sequence[float]


def check_points(points: Sequence[Point], *, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) float32 pixel indices and (N,) int32 labels, 1 inside and 0 outside; PromptRefused for anything else."""
    if len(points) > MAX_POINTS:
        raise PromptRefused(f"{len(points)} points are more than the {MAX_POINTS} that can be used at once; remove some.")
    i_points, labels = [], []
    for point in points:
        x, y, label = _numbers(point, 3, "A point", "x, y and 1 (inside) or 0 (outside)")
        _inside(x, y, "The point", height=height, width=width)
        if label not in (0, 1):
            raise PromptRefused(f"The point at ({x:g}, {y:g}) is marked {label:g}; mark it 1 (inside) or 0 (outside).")
        i_points.append((x, y))
        labels.append(int(label))
    return np.array(i_points, np.float32).reshape(-1, 2), np.array(labels, np.int32)


def check_boxes(boxes: Sequence[Box], *, height: int, width: int) -> np.ndarray:
    """(B, 4) float32 x0, y0, x1, y1 with x0 ≤ x1 and y0 ≤ y1, whichever corners were given; PromptRefused for anything else."""
    if len(boxes) > MAX_BOXES:
        raise PromptRefused(f"{len(boxes)} boxes are more than the {MAX_BOXES} that can be used at once; remove some.")
    i_boxes = []
    for box in boxes:
        x0, y0, x1, y1 = _numbers(box, 4, "A box", "x0, y0, x1 and y1, its two corners")
        _inside(x0, y0, "The box corner", height=height, width=width)
        _inside(x1, y1, "The box corner", height=height, width=width)
        i_boxes.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    return np.array(i_boxes, np.float32).reshape(-1, 4)


def check_mask_input(mask_input: np.ndarray, *, size: int) -> np.ndarray:
    """(1, size, size) float32 logits; PromptRefused when they are not from an earlier answer at this image size."""
    logits = np.asarray(mask_input)
    if logits.shape not in {(size, size), (1, size, size)} or logits.dtype.kind not in "fiub":
        raise PromptRefused(
            f"The earlier mask has the shape {logits.shape}; give one of the answer's own mask maps, {size} by {size}, at the same settings."
        )
    logits = logits.astype(np.float32).reshape(1, size, size)
    if not np.isfinite(logits).all():
        raise PromptRefused("The earlier mask holds values that are not numbers; start again without it.")
    return logits


def check_image(image: np.ndarray, *, max_pixels: int) -> np.ndarray:
    """The image as (H, W) or (H, W, 3), uint8 as it was or float32 from 0 to 1; PromptRefused for anything else."""
    array = np.asarray(image)
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] != 3):
        raise PromptRefused(f"The picture has the shape {array.shape}; give height by width, or height by width by 3 colours.")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise PromptRefused(
            f"The picture has {array.shape[1]} by {array.shape[0]} pixels, more than the {max_pixels / 1e6:g} million allowed; make it smaller first."
        )
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise PromptRefused("The picture's brightness must run from 0 to 1 (or be whole numbers from 0 to 255); rescale it first.")
    elif array.dtype != np.uint8:
        raise PromptRefused(
            f"The picture's numbers are of the kind {array.dtype}; give whole numbers from 0 to 255 (uint8) or fractions from 0 to 1."
        )
    return array


def m_from_i_points(i_points: np.ndarray, *, height: int, width: int, side: int) -> np.ndarray:
    """(N, 2) → (N, 2). A pixel's centre lies half a pixel from its edge in both planes, so it stays a centre after scaling."""
    scale = np.array([side / width, side / height], np.float32)
    return (i_points + 0.5) * scale - 0.5


def m_from_i_boxes(i_boxes: np.ndarray, *, height: int, width: int, side: int) -> np.ndarray:
    """(B, 4) → (B, 4): the first and the last pixel of the network's square that the box covers, as in the networks' training."""
    scale = np.array([side / width, side / height], np.float32)
    return np.concatenate([i_boxes[:, :2] * scale, (i_boxes[:, 2:] + 1) * scale - 1], axis=1)


def _numbers(value: Sequence[float], count: int, what: str, shape: str) -> list[float]:
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise PromptRefused(f"{what} must be {count} numbers: {shape}; {value!r} was given.")
    return numbers


def _inside(x: float, y: float, what: str, *, height: int, width: int) -> None:
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise PromptRefused(
            f"{what} ({x:g}, {y:g}) lies outside the picture, whose pixels run from (0, 0) to ({width - 1}, {height - 1}); place it inside."
        )
