"""What programs may ask of this tab, with typed arguments: outline, look for segments, classify. No file of the server is named: a picture is an
example's id, or rows of grey values that come with the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.medfocusclip.options import TEMPLATE, ZERO_SHOT, Guidance, Options, Painting
from models.medfocusclip.providers import GridOptions
from models.shared.method import Method
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import MAX_PIXELS, MAX_POINTS, encode
from workbench.pictures import Shown
from workbench.tabs.medfocusclip import results
from workbench.tabs.medfocusclip.engine import room
from workbench.tabs.medfocusclip.names import FIRST_MODES
from workbench.tabs.medfocusclip.scan import PLAIN_QUESTION, examples, scan

if TYPE_CHECKING:
    from models.medfocusclip.segments import Segment
    from models.medfocusclip.wrapper import MedFocus

FIRST = examples()[0].id


def publish(context: Context, method: Method) -> None:
    """Register the functions with the Blocks being built."""

    def medfocusclip(
        request: gr.Request,
        picture: str = FIRST,
        pixels: list = [],
        points: list = [],
        boxes: list = [],
        classes: list[str] = list(PLAIN_QUESTION),
        head: str = ZERO_SHOT,
        ways: list[str] = list(FIRST_MODES),
        alpha: float = 0.5,
        beta: float = 1.0,
    ) -> dict:
        """Outline what is marked, show it to CLIP in several ways and compare the answers.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            points: Clicks [x, y, 1 inside or 0 outside], all on one structure.
            boxes: Boxes [x0, y0, x1, y1], one for each structure.
            classes: Class names, used without a trained head.
            head: zero-shot, or the name of a trained head.
            ways: How CLIP is shown the region: plain, painted, binary, attention, blur, outline, ellipse, crop, grey_out.
            alpha: Opacity of the colours, 0 to 1.
            beta: Strength of guided attention, 0 or more.

        Returns:
            Probabilities, uncertainty and attention inside the region for each way, and the outlines as run lengths.
        """
        with spoken():
            rooms, shown = _room(context), _pixels(context, request, picture, pixels)
            prepared = rooms.prepare(shown)
            segments = [one.candidates[0] for one in _outlines(rooms, prepared, points, boxes)]
            options = Options(
                modes=tuple(ways),
                painting=Painting(float(alpha)),
                guidance=Guidance(float(beta)),
                head=head,
                classes=tuple(classes),
                template=TEMPLATE,
            )
            answer = rooms.classify(prepared, segments, options)
        return {**_plain(results.numbers(answer)), "segments": [_row(one) for one in segments], "segmenter": rooms.segmenter}

    def medfocusclip_segment(request: gr.Request, picture: str = FIRST, pixels: list = [], points: list = [], boxes: list = []) -> dict:
        """Outline what is marked, with all readings of it.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            points: Clicks [x, y, 1 inside or 0 outside], all on one structure.
            boxes: Boxes [x0, y0, x1, y1], one for each structure.

        Returns:
            For each structure its candidates, the best first: run lengths in reading order (outside first), estimated fit, area.
        """
        with spoken():
            rooms, shown = _room(context), _pixels(context, request, picture, pixels)
            found = _outlines(rooms, rooms.prepare(shown), points, boxes)
        return {
            "size": list(shown.shape[:2]),
            "structures": [[_row(one) for one in each.candidates] for each in found],
            "segmenter": rooms.segmenter,
        }

    def medfocusclip_propose(
        request: gr.Request, picture: str = FIRST, pixels: list = [], grid: int = 8, fit: float = 0.6, stability: float = 0.8
    ) -> dict:
        """Look for segments without any mark.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            grid: Points along each side, 1 to 32.
            fit: Least estimated fit, 0 to 1.
            stability: Least stability, 0 to 1.

        Returns:
            The segments, the largest first, as run lengths in reading order (outside first).
        """
        with spoken():
            if not 1 <= grid <= 32:
                raise ValueError(f"A grid of {grid} points a side cannot be used here; take 1 to 32.")
            rooms, shown = _room(context), _pixels(context, request, picture, pixels)
            found = rooms.propose(rooms.prepare(shown), GridOptions(int(grid), float(fit), float(stability)))
        return {"size": list(shown.shape[:2]), "segments": [_row(one) for one in found], "segmenter": rooms.segmenter}

    for function in (medfocusclip, medfocusclip_segment, medfocusclip_propose):
        gr.api(function, api_name=function.__name__, concurrency_id="model", concurrency_limit=1)


def _room(context: Context) -> MedFocus:
    return room(context, "", "auto")


def _pixels(context: Context, request: Any, picture: str, pixels: Sequence[Any]) -> np.ndarray:
    """The picture of a call. ValueErrors with a sentence; PictureGone for an id that is nobody's or somebody else's."""
    if not pixels:
        return scan(context, request, Shown(str(picture))).pixels
    try:
        rows = np.asarray(pixels, dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or not 0 < rows.size <= MAX_PIXELS or not ((rows >= 0) & (rows <= 255)).all():
        raise ValueError(
            f"pixels must be rows of equal length with grey values from 0 to 255, at most {MAX_PIXELS / 1e6:g} million of them."
        )
    return np.rint(rows).astype(np.uint8)


def _outlines(rooms: MedFocus, prepared: Any, points: Sequence[Any], boxes: Sequence[Any]) -> list[Any]:
    if len(points) > MAX_POINTS:
        raise ValueError(f"A structure can be marked with up to {MAX_POINTS} clicks; take some back.")
    if len(boxes) == 1 or (points and not boxes):
        return [rooms.segment(prepared, points, boxes)]
    if points:
        raise ValueError("Clicks go with one box only; give one box, or several boxes alone.")
    return [rooms.segment(prepared, [], [box]) for box in boxes]


def _row(one: Segment) -> dict[str, Any]:
    return {
        "area": one.area,
        "estimated_fit": round(one.score, 4),
        "stability": round(one.stability, 4),
        "box": list(one.box),
        "source": one.source,
        "run_lengths": encode(one.mask),
    }


def _plain(values: Any) -> Any:
    """Arrays as lists; what is not a finite number as None."""
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, np.ndarray | np.generic):
        return _plain(values.tolist())
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    return None if isinstance(values, float) and not np.isfinite(values) else values
