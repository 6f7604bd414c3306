"""The prompt canvas: a picture on which people point (inside, outside), draw a box, brush, and count segments in or out.

The browser owns what is marked, and its undo history; Python only answers. Names, all of them working by mouse, touch and keyboard:

    canvas = prompt_canvas(elem_id="room_canvas", label="Scan")
    gr.HTML(picture={"id", "url", "width", "height", "alt"})      another picture: everything marked is let go
    gr.HTML(answer=outline(marks, mask, iou, …))                  the mask for a click or box
    gr.HTML(answer=refusal(marks, "sentence"))                    why there is none
    gr.HTML(given=segments([...], replace=True))                  segments from elsewhere, one step of the history
    gr.HTML(heat=heat(values, box, label))                        a map laid over the picture; `heat=None` takes it away
    gr.HTML(busy={"text", "share"})                               work going on elsewhere, `busy=None` when it has ended

Events: `prompted` (the active segment's clicks or box changed and want a mask), `edited` (the brush changed a mask), `toggled` (a segment was
counted in or out), `changed` (after any of these, once the masks stand: also undo, redo, an answer, a removal). The value is read with
`workbench.parts.segments.read`. Wire `prompted` with `trigger_mode="always_last"`: answers are matched by their number, late ones are ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn
from workbench.parts.segments import Marks, Segment, encode

TOOLS = ("inside", "outside", "box", "brush", "erase", "pick")


def prompt_canvas(
    *, elem_id: str, label: str, tools: Sequence[str] = TOOLS, picture: dict[str, Any] | None = None, **props: Any
) -> gr.HTML:
    """The canvas. label: what a screen reader calls the picture. tools: which of TOOLS are offered, the first one chosen."""
    strangers = [tool for tool in tools if tool not in TOOLS]
    if strangers:
        raise ValueError(f"{strangers[0]!r} is no tool of the canvas; choose from {', '.join(TOOLS)}.")
    props = {"answer": {}, "given": {}, "heat": None, "busy": None} | props
    return _drawn("promptCanvas", {}, label=label, tools=list(tools), picture=picture or {}, elem_id=elem_id, **props)


def outline(marks: Marks, masks: np.ndarray, scores: Sequence[float], *, stability: Sequence[float | None] | None = None) -> dict[str, Any]:
    """The answer to `prompted`: candidates (K, H, W) bool with their estimated fit (K,), the best one first shown; people can leaf through."""
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    steady = stability or [None] * len(order)
    found = [
        {
            "runs": encode(masks[k]),
            "iou": round(float(scores[k]), 4),
            "stability": None if steady[k] is None else round(float(steady[k]), 4),
        }
        for k in order
    ]
    return {"asked": marks.asked, "segment": marks.active, "found": found}


def refusal(marks: Marks, sentence: str) -> dict[str, Any]:
    """The answer when there is no mask: one plain sentence beside the canvas; what was marked stays."""
    return {"asked": marks.asked, "segment": marks.active, "found": [], "refused": sentence}


def segments(found: Sequence[Segment], *, replace: bool, picture: str = "") -> dict[str, Any]:
    """Segments for the prop `given`. replace: let go of what is there; else they are added to it. picture: the id they belong to, where the work
    took so long that people may have gone on to another. Ids are dealt out by the canvas."""
    # the page sees only props that differ, and the same segments may be given twice
    return {"gift": secrets.token_hex(4), "replace": replace, "picture": picture, "segments": [one.for_browser() for one in found]}


def heat(values: np.ndarray, box: tuple[float, float, float, float], label: str) -> dict[str, Any]:
    """A map (rows, columns), largest value = full colour, over the part `box` (top, left, bottom, right, pixels) of the picture."""
    top = float(values.max()) or 1.0
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "values": [round(float(v) / top, 3) for v in values.ravel()],
        "box": list(box),
        "label": label,
    }
