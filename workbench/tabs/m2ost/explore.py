"""Explore: a whole slide with a map of expression over it, and a look into any spot.

The viewer tells when a slide is open; the job that predicts it then begins with the part that is in sight. Where the window comes to rest afterwards is passed on to
the running job, which serves it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from models.m2ost.grid import SpotGrid
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import scatter
from workbench.parts.events import EVENT, QUICK
from workbench.parts.slide_input import SlideInput, choices_for, refused_line, slide_facts, slide_input
from workbench.parts.slide_viewer import slide_viewer
from workbench.parts.spot_inspector import spot_inspector
from workbench.parts.training_panel import command
from workbench.tabs.m2ost import api, inside
from workbench.tabs.m2ost.desk import DESKS, Asked, Desk, is_example, shipped, window_of
from workbench.tabs.m2ost.names import NOTE, PITCHES, PREDICT, VIEWS

MOST_GENES = 1000
COLOUR_NOTE = "Genes of the example are made up: their names say what they were planted to follow."


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    source = slide_input(context, elem_id="m2ost_input")
    facts = context.slides.get(None, source.first).as_dict() if source.first else {}
    viewer = slide_viewer(
        elem_id="m2ost_viewer",
        label="Tissue slide",
        slide=facts,
        note=NOTE,
        empty="No slide is open. Choose one above, or open one of your own.",
    )
    with gr.Row(elem_classes="lb-controls"):
        network = gr.Dropdown(shipped(), value="full", label="Network", elem_id="m2ost_network", scale=2, min_width=240)
        levels = gr.CheckboxGroup(
            [(name, level) for level, name in enumerate(VIEWS)],
            value=[0, 1, 2],
            label="Views it is given",
            elem_id="m2ost_levels",
            scale=2,
            min_width=280,
        )
        pitch = gr.Radio(
            [(name, value) for value, name in PITCHES],
            value=100.0,
            label="Spots lie apart by",
            elem_id="m2ost_pitch",
            scale=3,
            min_width=320,
        )
    with gr.Row(elem_classes="lb-controls"):
        again = gr.Button("Predict again", elem_id="m2ost_again", scale=0, min_width=150)
        stop = gr.Button("Stop", variant="stop", elem_id="m2ost_stop", scale=0, min_width=110)
        flips = gr.Checkbox(
            False, label="Mean over 8 flips and turns, with its spread (8 × as long)", elem_id="m2ost_flips", container=False, min_width=300
        )
        truth = gr.Checkbox(
            True,
            label="At the spots whose measured or planted values are known, where there are some",
            elem_id="m2ost_truth",
            container=False,
            min_width=300,
        )
        going = gr.Checkbox(False, label="Go on when I close this page", elem_id="m2ost_keep", container=False, min_width=230)
    html.show(f"<p class='lb-hint'>{html.text(COLOUR_NOTE)} Keys , and . go from gene to gene.</p>")
    gr.Markdown("#### Inside one spot", container=False)
    with gr.Row():
        with gr.Column(scale=8, min_width=320):
            spot = spot_inspector(elem_id="m2ost_spot", empty=inside.WAITING)
        with gr.Column(scale=4, min_width=320):
            profile = scatter(elem_id="m2ost_profile", empty="")
    desk = Desk(context, source.slide, viewer, gr.State(""), network, levels, pitch, flips, truth)
    DESKS.keep(site, desk)
    _wire(desk, source, going, again, stop, spot, profile, site)
    api.publish(desk)


def _wire(
    desk: Desk, source: SlideInput, going: gr.Checkbox, again: gr.Button, stop: gr.Button, spot: gr.HTML, profile: gr.HTML, site: gr.Blocks
) -> None:
    context, viewer = desk.context, desk.viewer

    def show(request: gr.Request, id: str, job: str) -> list[Any]:
        """Another slide, or the same with another size of a pixel: the map of the one before goes."""
        command(context, request, job)
        try:
            found = context.slides.get(request, id).as_dict() if id else {}
        except ValueError as gone:
            return [gr.HTML(slide={}, map={}, boxes=[], said=str(gone)), "", *_nothing()]
        return [gr.HTML(slide=found, map={}, boxes=[], said=""), "", *_nothing()]

    def begin(request: gr.Request, keep_: bool, old: str, value: Any, *values: Any) -> list[Any]:
        try:
            asked = desk.asked(values)
            config = desk.config(request, asked, window_of(value))
            command(context, request, old)
            if not config["mpp"]:
                raise ValueError("The file does not say how large a pixel is; give it under the slide (µm a pixel), and the genes follow.")
            job = context.start(PREDICT, config, request, title=f"Genes of {context.slides.get(request, asked.slide).title}", keep=keep_)
        except ValueError as refused:
            return [gr.HTML(map={}, said=str(refused)), ""]
        return [gr.HTML(map={"job": job.id}, said=""), job.id]

    def moved(request: gr.Request, job: str, event: gr.EventData) -> None:
        window = window_of({"window": {name: getattr(event, name, None) for name in ("x", "y", "width", "height")}})
        if window:
            command(context, request, job, {"window": list(window)})

    def look(request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        try:
            asked = desk.asked(values)
            return looked_into(desk, request, asked, spot_of(event))
        except ValueError as refused:
            return [gr.HTML(said=str(refused)), gr.HTML(data={"views": [], "empty": str(refused)}), gr.skip()]

    def scaled(request: gr.Request, event: gr.EventData, now: str) -> list[Any]:
        try:
            context.slides.set_mpp(request, str(event.id), float(event.mpp))
        except (ValueError, AttributeError, TypeError) as refused:
            return [gr.skip(), gr.HTML(said=str(refused))]
        return [slide_facts(context, request, now), gr.HTML(slide=context.slides.get(request, now).as_dict(), said="")]

    def linked(request: gr.Request, event: gr.EventData, now: str) -> list[Any]:
        id = str(getattr(event, "id", ""))
        try:
            context.slides.get(request, id)
        except ValueError as gone:
            return [gr.skip(), gr.skip(), refused_line(gone), gr.HTML(said=str(gone))]
        return [id, choices_for(context, request, id), slide_facts(context, request, id), gr.skip()]

    begin_with = {"fn": begin, "inputs": [going, desk.job, viewer, *desk.inputs], "outputs": [viewer, desk.job]}
    source.slide.change(show, [desk.slide, desk.job], [viewer, desk.job, spot, profile], **QUICK)
    viewer.slide_opened(**begin_with, **QUICK)
    for event in (again.click, desk.network.input, desk.levels.input, desk.pitch.input, desk.flips.input, desk.truth.input):
        event(**begin_with, **QUICK | {"trigger_mode": "always_last"})
    viewer.view_changed(moved, desk.job, None, queue=False, show_progress="hidden", api_visibility="private")
    viewer.spot(look, desk.inputs, [viewer, spot, profile], **EVENT)
    viewer.scale_said(scaled, desk.slide, [source.facts, viewer], **QUICK).then(**begin_with, **QUICK)
    viewer.slide_asked(linked, desk.slide, [desk.slide, source.pick, source.facts, viewer], **QUICK)

    def halt(request: gr.Request, job: str) -> None:
        command(context, request, job)

    stop.click(halt, desk.job, None, queue=False, api_visibility="private")

    def mine(request: gr.Request, chosen: str, slide: str) -> list[Any]:
        return [gr.Dropdown(choices=desk.networks(request), value=chosen), choices_for(context, request, slide)]

    site.load(mine, [desk.network, desk.slide], [desk.network, source.pick], **QUICK)


def _nothing() -> list[Any]:
    return [gr.HTML(data={"views": [], "empty": inside.WAITING}), gr.HTML(data={"empty": ""})]


@dataclass(frozen=True)
class Spot:
    """The spot that was clicked, as the page tells it: everything in it may be anything, and is checked."""

    index: int
    count: int
    x: float
    y: float
    measured: tuple[float, ...] = ()


def spot_of(event: Any) -> Spot:
    """The spot of an event. ValueError with a sentence for what is none."""
    try:
        numbers = [float(getattr(event, name)) for name in ("index", "of", "x", "y")]
        measured = tuple(float(value) for value in (getattr(event, "measured", None) or ())[:MOST_GENES])
    except (AttributeError, TypeError, ValueError):
        raise ValueError("No spot was named; click one on the tissue.") from None
    if not np.isfinite([*numbers, *measured]).all():
        raise ValueError("No spot was named; click one on the tissue.")
    return Spot(int(numbers[0]), int(numbers[1]), numbers[2], numbers[3], measured)


def looked_into(desk: Desk, request: Any, asked: Asked, spot: Spot) -> list[Any]:
    """Boxes on the slide, the views and the profile of one spot. ValueError with a sentence."""
    predictor, source, mpp = desk.network_and_slide(request, asked)
    levels = tuple(level for level in asked.levels if level in predictor.levels)
    if not (0 <= spot.x <= source.width and 0 <= spot.y <= source.height):
        raise ValueError("This place lies outside the slide; click a spot on the tissue.")
    grid = SpotGrid(np.array([[spot.x, spot.y]], np.float32), 1.0, mpp)
    found = predictor.inspect(source, grid, 0, levels=levels, flips=asked.flips)
    place = (
        f"Spot {spot.index + 1:,} of {spot.count:,}, at x {spot.x * mpp / 1000:.3f} mm, y {spot.y * mpp / 1000:.3f} mm. {predictor.title}."
    )
    boxes = [[*map(float, box), VIEWS[level]] for box, level in zip(found.boxes, predictor.levels, strict=True)]
    measured = np.array(spot.measured) if len(spot.measured) == len(predictor.genes) else None
    word = "planted" if is_example(desk.context.slides.get(request, asked.slide)) else "measured"
    return [
        gr.HTML(boxes=boxes, said=""),
        gr.HTML(data=inside.views(found, predictor, levels, place=place)),
        gr.HTML(data=inside.profile(found, predictor, measured, word=word)),
    ]
