"""The slide viewer: a whole slide to pan and zoom, regions to draw on it, and a place for whatever a tab lays over it.

    viewer = slide_viewer(elem_id="room_viewer", label="Section", slide=facts.as_dict())
    gr.HTML(slide=facts.as_dict())               another slide, or the same one with another size of a pixel; `slide={}` closes it
    gr.HTML(focus={"x", "y", "width"})           fly there: centre and width in level-0 pixels
    gr.HTML(boxes=[[x, y, w, h, label], …])      labelled fields on the slide, with a legend; `boxes=[]` takes them away
    gr.HTML(said="sentence")                     a refusal under the slide, for instance of the one that a link asked for
    gr.HTML(map={"job": id})                     for the scripts that draw over it (see slideview.js, `Lightbox.slide.onView`)

Events, data in `gr.EventData`: `slide_opened` {id, x, y, width, height}; `slide_asked` {id, gene}: a link names another slide than the one that is
open, answer with `slide=` or `said=`; `view_changed` {x, y, width, height, scale, rotation} once the view has come to rest; `regions_changed` {count};
`scale_said` {id, mpp}: the visitor said how large a pixel is; `spot` {index, x, y} from a map. The value is read with `read`.

Nothing is loaded before a viewer is on the page: its script (OpenSeadragon, in assets/static/vendor, with its licence) comes with the first one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.parts.browser import SHELL

VENDOR = Path(__file__).resolve().parents[2] / "assets" / "static" / "vendor" / "openseadragon"
SCRIPT = "openseadragon.min.js"
EVENTS = ("slide_opened", "slide_asked", "view_changed", "regions_changed", "scale_said", "spot")
NOTE = "Research use only: nothing here is a diagnosis."
MOST_REGIONS, MOST_CORNERS, NAME_CHARS = 20, 200_000, 80


@dataclass(frozen=True)
class Region:
    """One region: its name and its parts, each a list of rings (outline first, then holes) of (x, y) in level-0 pixels, closed."""

    name: str
    parts: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = field(repr=False)


@dataclass(frozen=True)
class Looked:
    """What the page says about the viewer. window: x, y, width, height in level-0 pixels, None before a slide is open."""

    slide: str = ""
    window: tuple[int, int, int, int] | None = None
    regions: tuple[Region, ...] = ()
    gene: str = ""


def slide_viewer(
    *,
    elem_id: str,
    label: str = "Whole slide",
    slide: dict[str, Any] | None = None,
    boxes: Sequence[Sequence[Any]] = (),
    note: str = NOTE,
    empty: str = "No slide is open.",
    linked: bool = True,
    **props: Any,
) -> gr.HTML:
    """The viewer. slide: `Facts.as_dict()` of `workbench.slides`. label: what a screen reader calls it. note: always in sight under the slide, and in
    its PNG. linked: whether the page's address follows the view; for one viewer of a page only."""
    names = ", ".join(repr(name) for name in EVENTS)  # Gradio offers a listener only for names that stand in the script
    script = (
        f"const on = [{names}], host = element.querySelector('.lb-host') || element;"
        "const begin = () => (window.Lightbox && window.Lightbox.slideViewer ? window.Lightbox.slideViewer(host, props, watch, trigger) : setTimeout(begin, 15));"
        "begin();"
    )
    given = {"label": label, "slide": slide or {}, "boxes": [list(box) for box in boxes], "note": note, "empty": empty, "linked": linked}
    given |= {"focus": None, "map": {}, "said": "", "osd": script_url()} | props
    return gr.HTML({}, html_template=SHELL, js_on_load=script, apply_default_css=False, padding=False, elem_id=elem_id, **given)


@cache
def script_url() -> str:
    """Address of the viewer's script; its hash is in it, so that browsers may keep it for good."""
    return f"lightbox/static/vendor/openseadragon/{SCRIPT}?{vendored()['sha256'][SCRIPT][:12]}"


def vendored() -> dict[str, Any]:
    """Name, version, source and hashes of the script that is shipped."""
    return json.loads((VENDOR / "VERSION.json").read_text(encoding="utf-8"))


def read(value: Any) -> Looked:
    """The component's value, checked: the page may send anything, and what is not as it should be is left out."""
    if not isinstance(value, dict):
        return Looked()
    given = value.get("regions")
    found = [_region(one) for one in given[:MOST_REGIONS]] if isinstance(given, list) else []
    regions = [one for one in found if one is not None]
    while sum(len(ring) for one in regions for part in one.parts for ring in part) > MOST_CORNERS:
        regions.pop()
    return Looked(_word(value.get("slide")), _window(value.get("window")), tuple(regions), _word(value.get("gene")))


def _word(given: Any) -> str:
    return given[:NAME_CHARS] if isinstance(given, str) else ""


def _window(given: Any) -> tuple[int, int, int, int] | None:
    sides = [given.get(name) for name in ("x", "y", "width", "height")] if isinstance(given, dict) else []
    if not sides or not all(_is_number(side) for side in sides) or min(sides[2:]) < 1:
        return None
    return tuple(int(side) for side in sides)  # type: ignore[return-value]


def _region(given: Any) -> Region | None:
    try:
        kind, parts = given["geometry"]["type"], given["geometry"]["coordinates"]
        properties = given.get("properties") or {}
        parts = {"Polygon": lambda: [parts], "MultiPolygon": lambda: parts}[kind]()
        read = tuple(tuple(tuple(_point(point) for point in ring) for ring in part) for part in parts)
        name = _word(properties.get("name"))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    whole = read and all(part and all(len(ring) >= 4 for ring in part) for part in read)
    return Region(name, read) if whole else None


def _point(given: Any) -> tuple[float, float]:
    x, y = given[0], given[1]
    if not (_is_number(x) and _is_number(y)):
        raise ValueError("A corner is a pair of numbers.")
    return float(x), float(y)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e9
