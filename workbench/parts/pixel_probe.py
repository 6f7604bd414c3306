"""A picture on which people point at one pixel, and a map of what belongs to it laid over the picture.

    probe = pixel_probe(elem_id="room_probe", label="Affinity probe", picture=scan.for_canvas())
    probe.chosen(answer, probe, probe, trigger_mode="always_last")      # value {"picture", "x", "y", "seq"}
    gr.HTML(picture=scan.for_canvas())                                  # another picture: the cross goes to its middle and asks
    gr.HTML(answer=row_of(place, values, …))                            # the map for that place

The browser owns the cross (mouse, touch, arrow keys) and its history; a late answer is told by its number and left aside. Fires `opened` when it is
first on screen and `chosen` whenever the cross has moved.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn


@dataclass(frozen=True)
class Place:
    """Where the cross stands."""

    picture: str
    x: int
    y: int
    seq: int
    """Number of the question; an answer carries it back."""


def pixel_probe(*, elem_id: str, label: str, picture: dict[str, Any] | None = None) -> gr.HTML:
    """The component. label: what a screen reader calls the picture."""
    return _drawn("pixelProbe", {}, label=label, picture=picture or {}, answer={}, elem_id=elem_id)


def read_place(value: Any) -> Place | None:
    """What the page sent; None before anything was pointed at. ValueError for a value no probe could have sent."""
    if not isinstance(value, Mapping) or not value.get("picture"):
        return None
    x, y, seq = (value.get(name) for name in ("x", "y", "seq"))
    if not all(type(number) is int and 0 <= number < 1_000_000_000 for number in (x, y, seq)):
        raise ValueError("A place is told by whole pixels; point at the picture again.")
    return Place(str(value["picture"])[:128], x, y, seq)


def row_of(place: Place, values: np.ndarray, *, pixel: tuple[int, int], note: str, cells: int = 0) -> dict[str, Any]:
    """values: (rows, columns), at least 0. pixel: the row and column that stand for the place. cells: lines of a grid with so many cells a side."""
    top = float(values.max(initial=0.0))
    steps = np.rint(np.clip(values / (top or 1.0), 0, 1) * 255).astype(np.uint8)
    return {
        "picture": place.picture,
        "seq": place.seq,
        "rows": values.shape[0],
        "columns": values.shape[1],
        "bytes": base64.b64encode(steps.tobytes()).decode(),
        "top": round(top, 5),
        "pixel": list(pixel),
        "cells": cells,
        "note": note,
    }


def refused(place: Place | None, sentence: str) -> dict[str, Any]:
    """The answer where there is no map: one plain sentence."""
    return {"picture": place.picture if place else "", "seq": place.seq if place else 0, "rows": 0, "columns": 0, "note": sentence}
