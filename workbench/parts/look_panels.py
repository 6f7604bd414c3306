"""What a network was shown and where it looked: one panel a variant, all in the network's own square, with layer and head chosen in the page.

    panels = look_panels(elem_id="room_look")
    return gr.HTML(data=look_data([Panel("plain", "Plain", …), …], region=mask, even=0.06))

All maps of all layers and heads travel at once, a byte a patch, so that turning to another layer asks nobody.
S side of the network's square, L layers, h heads, gh × gw patches.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn
from workbench.parts.segments import encode

Rect = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Panel:
    """One variant of the input and the attention it met."""

    id: str
    label: str
    colour: int
    """Place in the page's colours, the same as in the tab's charts."""
    seen: np.ndarray = field(repr=False)
    """(S, S, 3) uint8: what the network sees."""
    attention: np.ndarray = field(repr=False)
    """(L, h, gh, gw): what the class token draws from each patch."""
    rollout: np.ndarray = field(repr=False)
    """(gh, gw): the same through all layers together."""
    mass: np.ndarray = field(repr=False)
    """(L, h): the part of each map inside the region; NaN where the region has no place in this panel."""
    rollout_mass: float
    answer: str
    """The most probable class and its share, in words."""
    note: str = ""
    full: np.ndarray | None = field(default=None, repr=False)
    """(H, W, 3) uint8: the same before the network's resizing."""
    seen_box: Rect | None = None
    """top, left, bottom, right in pixels of `full`: where the network's square lies on it."""


def look_panels(*, elem_id: str, asks: bool = False) -> gr.HTML:
    """The component; update with `gr.HTML(data=look_data(…))`. asks: fire `opened` whenever it comes into sight, so that it can be worked out then."""
    return _drawn("lookPanels", data={}, asks=asks, elem_id=elem_id)


def look_data(panels: Sequence[Panel], *, region: np.ndarray | None, share: np.ndarray, empty: str = "") -> dict[str, Any]:
    """region: (S, S) bool in the network's square, outlined on every panel that shares its frame; None: there is none, and no share of attention is told. share: (gh, gw), how much of
    each patch lies in the region: its mean is what attention inside would be if the network looked everywhere alike."""
    if not panels:
        return {"panels": [], "empty": empty}
    layers, heads, rows, columns = panels[0].attention.shape
    return {
        "side": panels[0].seen.shape[0],
        "grid": [rows, columns],
        "layers": layers,
        "heads": heads,
        "even": round(float(share.mean()), 4),
        "region": None if region is None else encode(region),
        "panels": [_panel(panel, share, region is not None) for panel in panels],
    }


def in_square(mask: np.ndarray, seen_box: Rect, side: int) -> np.ndarray:
    """A mask (H, W) of the picture as the network's square (side, side) shows it; what lies beyond the picture is outside."""
    top, left, bottom, right = seen_box
    steps = (np.arange(side) + 0.5) / side
    rows, columns = np.floor(top + steps * (bottom - top)).astype(int), np.floor(left + steps * (right - left)).astype(int)
    height, width = mask.shape
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
    return mask[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None, :]] & inside


def jpeg_url(pixels: np.ndarray) -> str:
    """uint8 (H, W, 3) as a data URL."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _panel(panel: Panel, share: np.ndarray, pointed: bool) -> dict[str, Any]:
    mean = panel.attention.mean(axis=1, keepdims=True)  # L 1 gh gw
    maps = np.concatenate([np.concatenate([panel.attention, mean], axis=1).reshape(-1, *mean.shape[2:]), panel.rollout[None]])
    tops = maps.max(axis=(1, 2))
    steps = np.rint(maps / np.where(tops > 0, tops, 1)[:, None, None] * 255).astype(np.uint8)
    placed = pointed and bool(np.isfinite(panel.mass).all())
    mean_mass = (mean[:, 0] * share).sum((1, 2)) / np.maximum(mean[:, 0].sum((1, 2)), np.finfo(np.float32).tiny)
    masses = [*np.concatenate([panel.mass, mean_mass[:, None]], axis=1).ravel(), panel.rollout_mass]
    return {
        "id": panel.id,
        "label": panel.label,
        "colour": panel.colour,
        "answer": panel.answer,
        "note": panel.note,
        "seen": jpeg_url(panel.seen),
        "full": None if panel.full is None else jpeg_url(panel.full),
        "rect": None if panel.full is None or panel.seen_box is None else _rect(panel.full.shape[:2], panel.seen_box),
        "maps": base64.b64encode(steps.tobytes()).decode(),
        "tops": [round(float(top), 5) for top in tops],
        "mass": [round(float(mass), 4) for mass in masses] if placed else None,
    }


def _rect(shape: tuple[int, int], seen_box: Rect) -> list[float]:
    """x, y, width, height of the whole picture inside the network's square, whose side is 1 here."""
    top, left, bottom, right = seen_box
    height, width = shape
    return [-left / (right - left), -top / (bottom - top), width / (right - left), height / (bottom - top)]
