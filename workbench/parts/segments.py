"""Masks on their way between the browser's canvas and Python: run lengths, and the checks on what a browser sends.

A mask (H, W) travels as its run lengths in reading order: first how many pixels lie outside, then how many inside, and so on in turn; the
sum is H·W. A tumour outlined on a picture of 768 by 768 pixels takes some 600 numbers. (COCO's run lengths go down the columns instead.)

i_ coordinates are pixel indices (x, y) of the working picture; the whole number k means the centre of pixel k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

MAX_SEGMENTS = 64
MAX_POINTS = 64
MAX_PIXELS = 2_000_000
"""Of a working picture; larger uploads are made smaller before they reach a canvas."""
MAX_NAME = 64
"""As long as a DICOM segment's label may be."""

Origin = Literal["click", "auto", "brush", "given"]


class MarksRefused(ValueError):
    """What came from a canvas cannot be used; the text is the sentence people see."""


def encode(mask: np.ndarray) -> list[int]:
    """(H, W) bool → run lengths, outside first."""
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    runs = np.diff(bounds).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def decode(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Run lengths → (H, W) bool. MarksRefused when they do not fill the picture exactly."""
    lengths = np.asarray(runs if len(runs) <= height * width + 1 else [])
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise MarksRefused("A mask that came from the page does not fit the picture; reload the page and outline it again.")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(height, width)


@dataclass(frozen=True, eq=False)
class Segment:
    """One outlined part of the picture, as the canvas holds it."""

    id: int
    name: str
    mask: np.ndarray | None
    """(H, W) bool, or None while it has not been outlined yet."""
    on: bool = True
    """Whether people count it in."""
    origin: Origin = "given"
    iou: float | None = None
    """The segmenter's own estimate of how well the outline fits, 0 to 1."""
    stability: float | None = None
    """How little the outline changes with the cut-off, 0 to 1."""
    points: tuple[tuple[float, float, int], ...] = ()
    """(x, y, 1 inside | 0 outside)."""
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1."""

    def for_browser(self) -> dict[str, Any]:
        """The record as the canvas takes it."""
        rounded = {
            name: None if value is None else round(float(value), 4) for name, value in (("iou", self.iou), ("stability", self.stability))
        }
        runs = None if self.mask is None else encode(self.mask)
        return {
            "id": self.id,
            "name": self.name,
            "runs": runs,
            "on": self.on,
            "origin": self.origin,
            "points": list(self.points),
            "box": self.box,
        } | rounded


@dataclass(frozen=True, eq=False)
class Marks:
    """Everything a canvas holds at one moment."""

    picture: str
    """Id of the picture that is marked; '' before there is one."""
    height: int
    width: int
    asked: int = 0
    """Number of the question; an answer carries it back, so that late answers are told apart."""
    active: int | None = None
    """Id of the segment that clicks refine."""
    segments: tuple[Segment, ...] = field(default=())

    @property
    def chosen(self) -> tuple[Segment, ...]:
        """Segments that are outlined and counted in."""
        return tuple(one for one in self.segments if one.on and one.mask is not None and one.mask.any())

    @property
    def region(self) -> np.ndarray:
        """(H, W) bool: the union of the chosen segments."""
        union = np.zeros((self.height, self.width), bool)
        for one in self.chosen:
            union |= one.mask
        return union

    def segment(self, id: int | None) -> Segment | None:
        """The segment of that id, or None."""
        return next((one for one in self.segments if one.id == id), None)


NOTHING = Marks("", 0, 0)


def read(value: Any) -> Marks:
    """What a canvas sent → Marks. A browser can send anything, so all of it is checked; MarksRefused with a sentence."""
    if not value:
        return NOTHING
    try:
        height, width = (int(side) for side in value["size"])
        entries = list(value["segments"])
        if height < 0 or width < 0 or height * width > MAX_PIXELS:
            raise MarksRefused("The picture on the page is larger than this server works on; load it again.")
        if len(entries) > MAX_SEGMENTS:
            raise MarksRefused(f"{len(entries)} segments are more than the {MAX_SEGMENTS} that can be used at once; remove some.")
        segments = tuple(_segment(entry, height, width) for entry in entries)
        active = None if value.get("active") is None else int(value["active"])
        return Marks(str(value["picture"])[:128], height, width, int(value.get("asked", 0)), active, segments)
    except MarksRefused:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise MarksRefused("What the page sent about the picture could not be read; reload the page.") from None


def _segment(entry: dict[str, Any], height: int, width: int) -> Segment:
    points = [tuple(_finite(number) for number in point) for point in entry.get("points") or ()]
    if len(points) > MAX_POINTS or any(len(point) != 3 for point in points):
        raise MarksRefused(f"A segment can be marked with up to {MAX_POINTS} clicks; take some back.")
    box = entry.get("box")
    origin = entry.get("origin")
    return Segment(
        id=int(entry["id"]),
        name=str(entry.get("name", ""))[:MAX_NAME],
        mask=None if entry.get("runs") is None else decode(entry["runs"], height, width),
        on=bool(entry.get("on", True)),
        origin=origin if origin in ("click", "auto", "brush") else "given",
        iou=_share(entry.get("iou")),
        stability=_share(entry.get("stability")),
        points=tuple((x, y, int(label)) for x, y, label in points),
        box=None if box is None else tuple(_finite(number) for number in box),
    )


def _finite(number: Any) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _share(number: Any) -> float | None:
    return None if number is None else min(1.0, max(0.0, _finite(number)))
