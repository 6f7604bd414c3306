"""Explore: a picture, the patches the prompt-maker may see, and what five methods make of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html, patch_grid
from workbench.parts.backbone_picker import backbone_picker
from workbench.parts.charts import box_plot, gauges, heat_overlay, probability_bars, scatter
from workbench.parts.image_input import image_input
from workbench.pictures import Shown, url
from workbench.tabs.promim import api, board, inside, take_along
from workbench.tabs.promim.controls import QUICK, Controls, class_controls, own_prompts, prompt_controls, prompts_control, wire_prompts
from workbench.tabs.promim.desk import Asked, Desk, data_url
from workbench.tabs.promim.names import CLINICIAN, NEAR_WORDS, STABILITY_MASKS, examples, task_of_family
from workbench.tabs.promim.question import Question
from workbench.tabs.promim.scene import Scene, put
from workbench.tabs.promim.truth import group_of

GRID_PX = 768  # side of the picture sent for the grid; sharper than any screen shows it
READY = "The network is getting ready: a few seconds at the first visit."
AT_ONCE = 2  # answers worked out at the same time; more would only slow each other on two cores


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    desk = Desk(context)
    api.publish(desk)
    source = image_input(context, elem_id="promim_input", examples=examples())
    classes = class_controls()
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            grid = patch_grid.patch_grid(
                label="Patches the prompt-maker may see; selected ones are seen", file="lightbox-promim", elem_id="promim_grid"
            )
        with gr.Column(scale=7, min_width=320):
            bars = probability_bars(elem_id="promim_bars", empty=READY)
            html.show(f"<p class='lb-hint'>{html.text(CLINICIAN)}</p>")
            files = take_along.buttons()
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            prompts = prompts_control()
        with gr.Column(scale=7, min_width=320):
            picker = backbone_picker(context, "clip", elem_id="promim_clip")
    controls = Controls(prompts=prompts, backbone=picker.chosen, **classes, **prompt_controls())
    views = _views()
    put(site, Scene(desk, source, controls, grid))

    _wire(desk, source.shown, controls, grid, bars, views)
    take_along.wire(desk, files, [grid, source.shown, *controls.inputs])
    wire_prompts(desk, controls)
    site.load(own_prompts(desk), controls.prompts, controls.prompts, **QUICK)


def _views() -> list[Any]:
    """The inside of the prompt, in the order in which `_insights` counts."""
    gr.Markdown("#### Inside the prompt", container=False)
    with gr.Row():
        with gr.Column(scale=7, min_width=320):
            steady = box_plot(elem_id="promim_stability", empty=inside.WAITING)
        with gr.Column(scale=5, min_width=320):
            moved = gauges(elem_id="promim_drift", empty=inside.WAITING)
    with gr.Row():
        with gr.Column(scale=7, min_width=320):
            leaks = heat_overlay(elem_id="promim_leakage", empty=inside.WAITING)
        with gr.Column(scale=5, min_width=320):
            plane = scatter(elem_id="promim_map", empty=inside.WAITING)
    near = html.show("", elem_id="promim_words")
    return [steady, moved, leaks, plane, near]


def _wire(desk: Desk, shown: gr.State, controls: Controls, grid: gr.HTML, bars: gr.HTML, views: list[Any]) -> None:
    turn = threading.BoundedSemaphore(AT_ONCE)

    def present(request: gr.Request, now: Shown, *values: Any) -> list[Any]:
        try:
            return [*_presented(desk, request, now, Question(*values)), gr.skip()]
        except ValueError as refused:
            return [gr.skip(), gr.skip(), gr.skip(), gr.HTML(data=board.refused(refused))]

    def answer(request: gr.Request, painted: Any, now: Shown, *values: Any) -> Any:
        came = time.time_ns() // 1000  # answers may overtake each other; the page shows that of the newest question
        try:
            with turn:
                asked = desk.ask(request, painted, now, Question(*values))
                if asked is None:
                    return gr.skip()
                return gr.HTML(data=board.bars(asked, asked.explorer.run(asked.prepared, asked.options)) | {"asked": came})
        except ValueError as refused:
            return gr.HTML(data=board.refused(refused) | {"asked": came})

    def look_inside(request: gr.Request, painted: Any, now: Shown, *values: Any) -> Iterator[list[Any]]:
        try:
            asked = desk.ask(request, painted, now, Question(*values))
            yield from [[gr.skip()] * len(views)] if asked is None else _insights(asked)
        except ValueError:
            yield [gr.skip()] * len(views)  # the bars already say why

    question = [grid, shown, *controls.inputs]
    first = {"fn": present, "inputs": [shown, *controls.inputs], "outputs": [grid, controls.task, controls.group, bars]}
    for event in (grid.opened, shown.change, controls.backbone.change):
        event(**first, concurrency_limit=2, **QUICK)
    controls.ratio.change(lambda ratio: gr.HTML(mask={"ratio": ratio}), controls.ratio, grid, queue=False, **QUICK)
    # without the queue a click is answered 20 ms sooner; `turn` takes the queue's place, and errors stand where the bars would
    for event in (grid.chosen, *controls.changes):
        event(answer, question, bars, queue=False, trigger_mode="always_last", **QUICK)
    for event in (grid.settled, *controls.changes):
        event(look_inside, question, views, trigger_mode="always_last", concurrency_id="model", concurrency_limit=1, **QUICK)


def _presented(desk: Desk, request: Any, now: Shown, question: Question) -> list[Any]:
    """The picture for the grid; for a phantom also the set of classes and the half of it that the phantom belongs to."""
    explorer, picture = desk.explorer(request, question), desk.context.pictures.get(request, now)
    prepared = explorer.prepare(picture.pixels)
    sent = patch_grid.picture(
        id=desk.key(now, question),
        url=url(now, side_px=GRID_PX),
        rows=prepared.grid[0],
        columns=prepared.grid[1],
        alt=picture.title,
        size=(picture.height, picture.width),
        box=prepared.box,
        seen=data_url(prepared.view),
    )
    return [gr.HTML(picture=sent), *_belonging(explorer, picture.phantom, question)]


def _belonging(explorer: Any, phantom: Any, question: Question) -> list[Any]:
    if phantom is None or question.prompts or question.group == "own":
        return [gr.skip(), gr.skip()]
    task = next((task for task in explorer.tasks if task.id == task_of_family(phantom.family)), None)
    if task is None:
        return [gr.skip(), gr.skip()]
    return [task.id, group_of(phantom, task.base, task.new) or gr.skip()]


def _insights(asked: Asked) -> Iterator[list[Any]]:
    """Each view as soon as it is worked out; the others are left as they are."""
    explorer, prepared, options = asked.explorer, asked.prepared, asked.options

    def only(place: int, update: Any) -> list[Any]:
        return [update if at == place else gr.skip() for at in range(5)]

    # the cheap ones first
    leaks = explorer.leakage(prepared, options)
    yield only(2, gr.HTML(data=inside.leakage(leaks, data_url(prepared.view), explorer.kept(options)[0].numpy())))
    yield only(1, gr.HTML(data=inside.drift(explorer.drift(prepared, options), options.classes)))
    yield only(4, inside.words(explorer.words(prepared, options, NEAR_WORDS)))
    few = replace(asked.thrown_anew, arms=inside.SPREAD)
    yield only(0, gr.HTML(data=inside.stability(explorer.stability(prepared, few, STABILITY_MASKS))))
    others, some = asked.companions(), replace(options, arms=inside.SPREAD)
    yield only(3, gr.HTML(data=inside.prompt_map(explorer.prompt_map([prepared, *others], some), len(others))))
