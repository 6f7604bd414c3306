"""The board of a training on labels that may be wrong: the losses' histogram with two Gaussians, an epoch slider, curves, the list of suspects; and plain curves.

board = noise_board(elem_id="room_board")
gr.HTML(job={"id": …})                  follow a job whose events are those of `models.self_cleansing.noise_lab` or `.own`
gr.HTML(recorded=recorded(…))           show a run that is over
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of `curves`; where y is NaN there is no point."""

    label: str
    colour: int
    x: Sequence[float]
    y: Sequence[float]


def noise_board(*, elem_id: str, done: str = "", asks: bool = False, looks: bool = True, empty: str = "") -> gr.HTML:
    """Fires `chosen` {index} for a suspect that somebody wants to look at (not without `looks`), `opened` when first drawn (asks), `ended`."""
    return _drawn("noiseBoard", job={}, recorded={}, done=done, asks=asks, looks=looks, empty=empty, elem_id=elem_id)


def recorded(
    epochs: Sequence[Mapping[str, Any]],
    *,
    title: str,
    note: str,
    warmup: int,
    structures: Sequence[str],
    ranked: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The prop `recorded`. epochs: as a card keeps them. ranked: suspects as of the last epoch."""
    return {
        "title": title,
        "note": note,
        "warmup": warmup,
        "structures": list(structures),
        "truth": True,
        "epochs": [dict(one) for one in epochs],
        "ranked": [dict(one) for one in ranked],
    }


def curves(*, elem_id: str, asks: bool = False) -> gr.HTML:
    """Update with `gr.HTML(data=curves_data(…))`."""
    return _drawn("curves", data={}, asks=asks, elem_id=elem_id)


def curves_data(
    lines: Sequence[Curve], *, title: str, x: str, y: str, marks: Sequence[tuple[float, str]] = (), empty: str = ""
) -> dict[str, Any]:
    """marks: (x, words) of upright lines."""
    made = []
    for place, one in enumerate(lines):
        there = np.isfinite(np.asarray(one.y, float))
        made.append(
            {
                "id": str(place),
                "label": one.label,
                "colour": one.colour,
                "x": [float(v) for v in np.asarray(one.x, float)[there]],
                "y": [round(float(v), 5) for v in np.asarray(one.y, float)[there]],
            }
        )
    return {
        "title": title,
        "xLabel": x,
        "yLabel": y,
        "lines": made,
        "marks": [{"x": at, "label": words} for at, words in marks],
        "empty": empty,
    }
