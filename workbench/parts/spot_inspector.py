"""What a network of several views saw of one spot: the nested views with patches and attention, who listens to whom, how loud each view is.

    inspector = spot_inspector(elem_id="m2ost_spot")
    return gr.HTML(data=spot_data([View("Spot", …), …], listens=…, gates=…))

The drawing belongs to the browser; everything about one spot travels at once, a byte a patch.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn
from workbench.parts.look_panels import jpeg_url

Rect = tuple[float, float, float, float]
"""x, y, width, height in shares of a view's side."""


@dataclass(frozen=True, eq=False)
class PatchGroup:
    """Patches of one size and what the class token draws from each: `attention` (n, n)."""

    title: str
    rect: Rect
    attention: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class View:
    """One view, uint8 (S, S, 3). inner: where the closer views lie in it. off: the network is not given it."""

    label: str
    note: str
    pixels: np.ndarray = field(repr=False)
    groups: Sequence[PatchGroup] = ()
    inner: Sequence[tuple[str, Rect]] = ()
    off: bool = False


def spot_inspector(*, elem_id: str, empty: str = "") -> gr.HTML:
    """The component; update with `gr.HTML(data=spot_data(…))`."""
    return _drawn("spotInspector", data={"empty": empty}, elem_id=elem_id)


def spot_data(
    views: Sequence[View],
    *,
    about: str,
    listens: np.ndarray | None,
    gates: Sequence[float],
    listens_note: str = "",
    gates_note: str = "",
    empty: str = "",
) -> dict[str, Any]:
    """listens: (V, V), row i how much view i draws from view j, NaN where it cannot. gates: one factor a view, from 1 (as it is) to 2."""
    labels = [view.label for view in views]
    rows = [] if listens is None else [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in listens]
    return {
        "views": [_view(view) for view in views],
        "about": about,
        "listens": {"labels": labels, "rows": rows, "note": listens_note},
        "gates": {
            "labels": labels if len(gates) == len(labels) else [],
            "values": [round(float(gate), 4) for gate in gates],
            "note": gates_note,
        },
        "empty": empty,
    }


def _view(view: View) -> dict[str, Any]:
    return {
        "label": view.label,
        "note": view.note,
        "url": jpeg_url(view.pixels),
        "off": view.off,
        "inner": [{"label": label, "rect": list(rect)} for label, rect in view.inner],
        "groups": [_group(group) for group in view.groups],
    }


def _group(group: PatchGroup) -> dict[str, Any]:
    top = float(group.attention.max(initial=0.0))
    steps = np.rint(np.clip(group.attention / (top or 1.0), 0, 1) * 255).astype(np.uint8)
    return {
        "title": group.title,
        "n": len(group.attention),
        "rect": list(group.rect),
        "bytes": base64.b64encode(steps.tobytes()).decode(),
        "top": top,
    }
