"""A picture under a grid of patches that people show or hide; the browser owns the mask, Python answers it.

    grid = patch_grid(label="Patches the prompt-maker sees", file="lightbox-promim", elem_id="promim_grid")
    grid.opened(first_picture, …, grid); grid.chosen(answer, grid, bars, trigger_mode="always_last", …); grid.settled(slow_answers, grid, …)

Send a picture with `gr.HTML(picture=picture_of(...))` and a mask of Python's choice with `gr.HTML(mask={"ratio": 0.75, "n": count})`. The
value is read with `read_mask`. Patch number = row × columns + column, as in every encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.parts.browser import _drawn


@dataclass(frozen=True)
class Mask:
    """What the browser says."""

    picture: str
    """The `id` that was sent with the picture it shows."""
    keep: tuple[int, ...]
    """Patches left visible, in rising order."""
    way: str
    """"random" or "block": how the last throw chose."""
    seq: int
    """Grows with every change; goes into an answer, so that the page can tell which question it belongs to."""


def patch_grid(*, label: str, file: str, ratio: float = 0.75, elem_id: str) -> gr.HTML:
    """The grid, empty until a picture is sent. label: what the grid is, for screen readers. file: name of saved pictures. ratio: share hidden at first.

    Fires `opened` (on screen, no picture yet), `chosen` (mask or picture changed, throttled, newest wins), `settled` (at rest).
    """
    return _drawn("patchGrid", {}, picture={}, mask={"ratio": ratio, "n": 0}, label=label, file=file, elem_id=elem_id)


def picture(
    *,
    id: str,
    url: str,
    rows: int,
    columns: int,
    alt: str,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
    seen: str = "",
) -> dict[str, Any]:
    """A picture for the grid. size: its (height, width). box: (top, left, bottom, right), in its pixels, of what is cut into rows × columns
    patches, which may reach beyond it; None: all of it. seen: address of that part as sharp as the network sees it."""
    height, width = size
    top, left, bottom, right = box or (0.0, 0.0, float(height), float(width))
    place = [-left / (right - left), -top / (bottom - top), width / (right - left), height / (bottom - top)]
    return {"id": id, "url": url, "place": place, "seen": seen, "rows": rows, "columns": columns, "alt": alt}


def read_mask(value: object, patches: int) -> Mask | None:
    """The grid's value for a picture of `patches` patches; None while it has none. ValueError for a value no grid could have sent."""
    if not isinstance(value, Mapping) or not value.get("picture"):
        return None
    keep, seq = value.get("keep"), value.get("seq", 0)
    way = value.get("way", "random")
    if (
        way not in ("random", "block")
        or not isinstance(keep, list)
        or not all(type(number) is int for number in keep)
        or type(seq) is not int
    ):
        raise ValueError("A mask is a list of patch numbers.")
    chosen = tuple(sorted(set(keep)))
    if chosen and (chosen[0] < 0 or chosen[-1] >= patches):
        raise ValueError(f"A mask names patches from 0 to {patches - 1}; roll the mask again.")
    return Mask(str(value["picture"]), chosen, way, seq)
