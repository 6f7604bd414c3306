"""Explore: one scan, its outline and its diagnosis; threshold, parts of the network, correction by brush, measures, a reference of one's own.

The canvas tells of every settled change (`changed`), also of an answer laid on it; measures follow from what is outlined at that moment, so that a
correction by hand counts at once. The network is asked when the drawer comes into sight and whenever picture, network or threshold change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from models.shared.checkpoints import CheckpointRefused, read_card
from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import heat_overlay, probability_bars
from workbench.parts.events import EVENT, OPENING, QUICK, Late, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import reference_input
from workbench.parts.prompt_canvas import prompt_canvas, segments
from workbench.pictures import Shown
from workbench.tabs.resformer_mtl import api, results
from workbench.tabs.resformer_mtl.desk import DESKS, OWN_NETWORKS, Desk, arms_of
from workbench.tabs.resformer_mtl.names import STRUCTURES, TASK_CHOICES, WARNING, arm_choices
from workbench.tabs.resformer_mtl.scan import examples, task_of, truth
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(truth, STRUCTURES)


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn."""

    bars: gr.HTML
    verdict: gr.HTML
    inside: gr.HTML


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="resformer_mtl_warning")
    source = image_input(context, elem_id="resformer_mtl_input", examples=examples())
    opening, task = scan(context, None, source.first), task_of(source.first)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            canvas = prompt_canvas(elem_id="resformer_mtl_canvas", label="Scan", tools=TOOLS, picture=opening.for_canvas())
            measured = html.show("", elem_id="resformer_mtl_measures")
            brought = reference_input("resformer_mtl")
        with gr.Column(scale=2, min_width=320):
            network = gr.Dropdown(
                TASK_CHOICES, value=task, label="Trained on", info="Choose what fits the scan.", elem_id="resformer_mtl_task"
            )
            arm = gr.Dropdown(
                arm_choices(task),
                value="full",
                label="Network",
                info="The whole method, a twin for one task, or one part taken out.",
                elem_id="resformer_mtl_arm",
            )
            with gr.Row():
                threshold = gr.Slider(
                    0.05,
                    0.95,
                    value=0.5,
                    step=0.01,
                    label="Threshold of the outline",
                    info="Lower outlines more.",
                    elem_id="resformer_mtl_threshold",
                )
                smallest = gr.Slider(
                    1,
                    400,
                    value=1,
                    step=1,
                    label="Smallest region kept",
                    info="In pixels of the picture.",
                    elem_id="resformer_mtl_smallest",
                )
            bars = probability_bars(elem_id="resformer_mtl_bars", asks=True)
            verdict = html.show("", elem_id="resformer_mtl_verdict")
    desk = Desk(context, source.shown, canvas, brought.state, network, arm, threshold, smallest)
    files = outline_files("resformer_mtl")
    gr.Markdown("#### Inside the network", container=False)
    stage = gr.Radio(
        [(f"Scale {k}", k) for k in (1, 2, 3, 4)],
        value=3,
        label="Scale",
        info="1 is the finest, 4 the coarsest.",
        elem_id="resformer_mtl_stage",
    )
    shows = Shows(bars, verdict, heat_overlay(elem_id="resformer_mtl_inside"))
    _wire(desk, method, source, shows, stage, site)
    MEASURES.wire(desk, brought, measured, files)
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    api.publish(context, method)
    DESKS.keep(site, desk)


def _wire(
    desk: Desk,
    method: Method,
    source: ImageInput,
    shows: Shows,
    stage: gr.Radio,
    site: gr.Blocks,
) -> None:
    outputs = [desk.canvas, shows.bars, shows.verdict, shows.inside]

    def ask(request: gr.Request, number: int, *values: Any) -> list[Any]:
        return answered(desk, method, request, number, values)

    def choose(request: gr.Request, chosen: str) -> gr.Dropdown:
        with spoken():
            return gr.Dropdown(choices=arms_of(desk.context, request, chosen), value=None if chosen.startswith("job:") else "full")

    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            made, task = desk.scan(request, shown), task_of(shown)
        return [gr.HTML(picture=made.for_canvas()), task, gr.Dropdown(choices=arm_choices(task), value="full")]

    def look(request: gr.Request, number: int, *values: Any) -> Any:
        with spoken():
            return gr.HTML(data=results.layers(desk.work(request, values), number))

    inputs = [stage, *desk.inputs]
    for event in (shows.bars.opened, desk.arm.change, desk.threshold.change, desk.smallest.release):
        event(ask, inputs, outputs, **EVENT)
    desk.network.input(choose, desk.network, desk.arm, **QUICK).then(ask, inputs, outputs, **EVENT)
    opened = source.shown.change(open_picture, source.shown, [desk.canvas, desk.network, desk.arm], **OPENING)
    opened.then(ask, inputs, outputs, **EVENT)
    stage.input(look, inputs, shows.inside, **EVENT)

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=[*TASK_CHOICES, *OWN_NETWORKS.choices(desk.context, request)], value=chosen)

    site.load(networks, desk.network, desk.network, **QUICK)


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    predictor = work.predictor
    stamp = exports.stamp(
        "resformer_mtl",
        checkpoints={"ResFormer-MTL": predictor.sha256},
        device=desk.context.device,
        task=predictor.task,
        network=predictor.arm,
    )
    return Outlined(work.scan, marks.chosen, predictor.structures, results.numbers(work), stamp)


def answered(desk: Desk, method: Method, request: Any, number: int, values: Any) -> list[Any]:
    """Values for canvas, bars, verdict and maps."""
    with spoken():
        try:
            work = desk.work(request, values)
        except Late:
            return [gr.skip()] * 4
        return [
            gr.HTML(given=segments(work.segments(), replace=True, picture=work.scan.id)),
            gr.HTML(data=results.bars([work])),
            results.verdict(work, card_of(method)),
            gr.HTML(data=results.layers(work, number)),
        ]


def card_of(method: Method) -> Any:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(Path(method.card))
    except (FileNotFoundError, CheckpointRefused):
        return None
