"""Drawings that live in the browser: each function returns a `gr.HTML` whose state belongs to the page and whose answers come from Python.

The scripts are in `assets/static` and loaded once in the page's head. A function, not a subclass: subclassing `gr.HTML` writes a stub file
beside the source at run time and breaks on partial updates.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

MAX_FIRST = 20_000
"""Characters of a prop that travels twice."""
SHELL = "<div class='lb-host'></div>"  # no placeholders: Gradio then never re-renders what the script has drawn


def _drawn(function: str, value: Any = "", **props: Any) -> gr.HTML:
    # The script file may arrive after this component: wait for it. The event names stand here in quotes, because Gradio offers a listener
    # only for names it finds in the script.
    script = (
        "const on = ['ended', 'moved', 'released', 'opened', 'chosen', 'settled', 'prompted', 'edited', 'toggled', 'changed'], host = element.querySelector('.lb-host') || element;"
        f"const first = {_first(props)}, all = new Proxy(props, {{ get: (now, key) => (now[key] === undefined ? first[key] : now[key]) }});"
        f"const begin = () => (window.Lightbox && window.Lightbox.{function} ? window.Lightbox.{function}(host, all, watch, trigger) : setTimeout(begin, 15));"
        "begin();"
    )
    return gr.HTML(value, html_template=SHELL, js_on_load=script, apply_default_css=False, padding=False, **props)


def _first(props: dict[str, Any]) -> str:
    """The props a component begins with, as JSON for its script.

    An answer that reaches a component in a drawer nobody has opened yet, even one that changes nothing, makes this Gradio forget all props but its own.
    Large ones (a recorded race) stay out: their components are in drawers that open with the page.
    """
    small = {name: text for name, value in props.items() if len(text := json.dumps(value)) <= MAX_FIRST}
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in small.items()) + "}"


def race_board(*, recorded: dict[str, Any] | None = None, elem_id: str) -> gr.HTML:
    """Live curves, legend, inside view and table of a race. Update with `gr.HTML(job={"id": …})`; fires `ended`.

    recorded: {"events": [...], "note": text} shown until a job is followed.
    """
    return _drawn("raceBoard", job={}, recorded=recorded or {}, elem_id=elem_id)


def heat_map(*, recorded: dict[str, Any] | None = None, elem_id: str) -> gr.HTML:
    """A map over two settings that a sweep job fills cell by cell; diverged cells are hatched. Update as `race_board`; fires `ended`."""
    return _drawn("heatmap", job={}, recorded=recorded or {}, elem_id=elem_id)


def landscape_map(scene: dict[str, Any], *, elem_id: str) -> gr.HTML:
    """A 2-D height map with paths and a play head. Fires `moved` with value {"start": [x, y]}; answer with `gr.HTML(scene=…)`."""
    return _drawn("landscape", scene=scene, elem_id=elem_id)


def log_slider(label: str, value: float, low: float, high: float, *, info: str, elem_id: str) -> gr.HTML:
    """A slider over powers of ten; its value for Python is the number itself. Fires `released`; set it with `gr.HTML(start=…)`."""
    return _drawn("logSlider", value, label=label, info=info, low=low, high=high, start=value, min_width=220, elem_id=elem_id)


def step_curve(*, elem_id: str) -> gr.HTML:
    """A lesson's picture with two sliders of its own: SOFIM's step length against the size of the averaged gradient. Needs no server."""
    return _drawn("stepCurve", elem_id=elem_id)
