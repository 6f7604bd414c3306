"""Charts drawn in the browser from plain numbers: bars of probabilities, boxes, gauges, a scatter, heat over a picture.

Each chart is a component and a function that makes its data:

    bars = probability_bars(elem_id="promim_bars")
    return gr.HTML(data=bars_data(["cyst", "mass"], [Series("CLIP", 0, [0.2, 0.8])], title="What each method says"))

`empty` is said until data come. A chart that `asks` fires `opened` when it is first on screen, so that nothing is computed that nobody sees.

Every chart carries its numbers as text beside the drawing. Numbers are cut to what a screen shows. Names may come from people: the browser
puts them in as text. Colours are places in the page's colour-blind-safe set (`L.colour` in core.js), the same in all charts of a tab.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np

from workbench.parts.browser import _drawn

DIGITS = 5  # significant digits sent: no chart shows more


@dataclass(frozen=True)
class Series:
    """One column of bars: a name, a colour, and one share in 0…1 for each class."""

    label: str
    colour: int
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Mark:
    """A single value marked in a row of boxes or on a gauge. shape: circle, square, diamond, triangle or cross."""

    label: str
    value: float
    colour: int = 0
    shape: str = "diamond"


@dataclass(frozen=True)
class Box:
    """A row of a box plot: its values, and single values of others marked beside them."""

    label: str
    values: Sequence[float]
    colour: int = 0
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Gauge:
    """A value on a scale from low to high; with a low below 0 the bar grows from 0. text: how it is written, where the number alone does not tell."""

    label: str
    value: float
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    text: str = ""
    colour: int = 0
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Group:
    """A kind of points in a scatter."""

    label: str
    colour: int
    shape: str = "circle"


@dataclass(frozen=True)
class Point:
    """A point of a scatter; `group` counts into the groups, `tag` is written beside it."""

    x: float
    y: float
    group: int
    name: str
    tag: str = ""


@dataclass(frozen=True)
class Heat:
    """A map (rows, columns) of values of at least 0, to lie over a picture."""

    title: str
    values: np.ndarray = field(repr=False)
    note: str = ""


def probability_bars(*, elem_id: str, empty: str = "", asks: bool = False) -> gr.HTML:
    """A table of bars, one row a class, one column a series; update with `gr.HTML(data=bars_data(…))`."""
    return _chart("probabilityBars", elem_id, empty, asks)


def bars_data(
    classes: Sequence[str],
    series: Sequence[Series],
    *,
    title: str = "",
    about: str = "",
    truth: int | None = None,
    digest: str = "",
    seq: int | None = None,
    empty: str = "",
) -> dict[str, Any]:
    """truth: place of the labelled class, if known. digest: one sentence under the bars. seq: which question this answers. ValueError when a series does not fit the classes."""
    for one in series:
        if len(one.values) != len(classes):
            raise ValueError(f"{one.label} has {len(one.values)} values for {len(classes)} classes; give one for each.")
    columns = [{"label": one.label, "colour": one.colour, "note": one.note, "values": _short(one.values)} for one in series]
    data = _named(title, about, empty) | {"classes": list(classes), "truth": truth, "series": columns, "digest": digest}
    return data if seq is None else data | {"seq": seq}


def box_plot(*, elem_id: str, empty: str = "", asks: bool = False) -> gr.HTML:
    """Boxes from quartile to quartile with every value as a dot; update with `gr.HTML(data=boxes_data(…))`."""
    return _chart("boxPlot", elem_id, empty, asks)


def boxes_data(
    rows: Sequence[Box],
    *,
    title: str = "",
    about: str = "",
    low: float = 0.0,
    high: float = 1.0,
    unit: str = "%",
    values_title: str = "",
    empty: str = "",
) -> dict[str, Any]:
    """unit "%" shows shares in 0…1 as per cent. values_title: what one dot is. All rows carry the same marks. ValueError for a row without values."""
    for row in rows:
        if not len(row.values):
            raise ValueError(f"The row {row.label} has no values; leave it out.")
    made = [
        {"label": row.label, "colour": row.colour, "values": _short(row.values), "marks": [_mark(mark) for mark in row.marks]}
        for row in rows
    ]
    return _named(title, about, empty) | {"rows": made, "low": low, "high": high, "unit": unit, "values_title": values_title}


def gauges(*, elem_id: str, empty: str = "", asks: bool = False) -> gr.HTML:
    """Values on scales; update with `gr.HTML(data=gauges_data(…))`."""
    return _chart("gauges", elem_id, empty, asks)


def gauges_data(
    items: Sequence[Gauge],
    *,
    title: str = "",
    about: str = "",
    table: tuple[str, Sequence[str], Sequence[Sequence[str]]] | None = None,
    empty: str = "",
) -> dict[str, Any]:
    """The gauges from top to bottom. table: (title, heading, rows) of text to fold out below them; the first cell of a row is its name."""
    made = [
        {
            "label": item.label, "value": _number(item.value), "low": item.low, "high": item.high, "unit": item.unit, "text": item.text,
            "colour": item.colour, "marks": [_mark(mark) for mark in item.marks],
        }
        for item in items
    ]  # fmt: skip
    folded = table and {"title": table[0], "head": list(table[1]), "rows": [list(row) for row in table[2]]}
    return _named(title, about, empty) | {"items": made, "table": folded}


def scatter(*, elem_id: str, empty: str = "", asks: bool = False) -> gr.HTML:
    """Points in a plane, with equal scale on both axes; update with `gr.HTML(data=scatter_data(…))`."""
    return _chart("scatter", elem_id, empty, asks)


def scatter_data(
    groups: Sequence[Group],
    points: Sequence[Point],
    *,
    title: str = "",
    about: str = "",
    links: Sequence[tuple[int, int]] = (),
    keys: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    empty: str = "",
) -> dict[str, Any]:
    """links: pairs of places in `points` joined by a line. keys: what the tags mean, one text each."""
    made = [{"x": _number(p.x), "y": _number(p.y), "series": p.group, "name": p.name, "tag": p.tag} for p in points]
    kinds = [{"label": group.label, "colour": group.colour, "shape": group.shape} for group in groups]
    axes = {"links": [list(link) for link in links], "names": list(keys), "xLabel": x_label, "yLabel": y_label}
    return _named(title, about, empty) | {"series": kinds, "points": made} | axes


def heat_overlay(*, elem_id: str, empty: str = "", asks: bool = False) -> gr.HTML:
    """Heat maps over one picture, side by side; update with `gr.HTML(data=heats_data(…))`."""
    return _chart("heatOverlay", elem_id, empty, asks)


def heats_data(
    url: str, alt: str, heats: Sequence[Heat], *, title: str = "", about: str = "", shared: bool = True, unit: str = "", empty: str = ""
) -> dict[str, Any]:
    """url: the picture that all maps lie over. shared: one colour scale for all. Values travel in 255 steps of each map's own top."""
    return _named(title, about, empty) | {
        "picture": {"url": url, "alt": alt},
        "panels": [_panel(heat) for heat in heats],
        "shared": shared,
        "unit": unit,
    }


def _panel(heat: Heat) -> dict[str, Any]:
    rows, columns = heat.values.shape
    top = float(heat.values.max(initial=0.0))
    bytes_ = np.rint(np.clip(heat.values / (top or 1.0), 0, 1) * 255).astype(np.uint8).tobytes()
    return {
        "title": heat.title, "note": heat.note, "rows": rows, "columns": columns, "bytes": base64.b64encode(bytes_).decode(), "top": _number(top),
    }  # fmt: skip


def _chart(function: str, elem_id: str, empty: str, asks: bool) -> gr.HTML:
    return _drawn(function, data={"empty": empty}, asks=asks, elem_id=elem_id)


def _named(title: str, about: str, empty: str) -> dict[str, Any]:
    return {"title": title, "about": about, "empty": empty}


def _mark(mark: Mark) -> dict[str, Any]:
    return {"label": mark.label, "value": _number(mark.value), "colour": mark.colour, "shape": mark.shape}


def _short(values: Sequence[float]) -> list[float]:
    return [_number(value) for value in values]


def _number(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
