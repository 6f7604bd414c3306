"""The second half of Explore: one scan, outlined by a chosen network; correction by brush, measures, a reference of one's own, files.

The canvas tells of every settled change (`changed`), also of an answer laid on it; measures follow from what is outlined at that moment, so that a
correction by hand counts at once.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import Heat, heat_overlay, heats_data
from workbench.parts.events import EVENT, OPENING, QUICK, Late, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import measures, reference_input
from workbench.parts.prompt_canvas import prompt_canvas, segments
from workbench.pictures import Shown
from workbench.tabs.self_cleansing.desk import DESKS, Desk, Work, choices, dropdowns
from workbench.tabs.self_cleansing.names import (
    MODALITY,
    MODELS,
    SHORT,
    STRUCTURES,
    arm_choices,
    card_of,
    default_setting,
    network_choices,
    setting_choices,
    setting_words,
    tasks_of,
)
from workbench.tabs.self_cleansing.scan import examples, task_of, truth
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(truth, STRUCTURES)


def outline(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay it out and wire it."""
    source = image_input(context, elem_id="self_cleansing_input", examples=examples())
    card = card_of(method)
    tasks = tasks_of(card)
    opening, task = scan(context, None, source.first), task_of(source.first, tasks)
    facts = tasks.get(task) or next(iter(tasks.values()), {})
    setting = default_setting(facts)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            canvas = prompt_canvas(elem_id="self_cleansing_canvas", label="Scan", tools=TOOLS, picture=opening.for_canvas())
            measured = html.show("", elem_id="self_cleansing_measures")
            brought = reference_input("self_cleansing")
        with gr.Column(scale=2, min_width=320):
            network = gr.Dropdown(
                network_choices(card),
                value=task if task in tasks else None,
                label="Trained on",
                info="Choose what fits the scan.",
                elem_id="self_cleansing_network",
            )
            chosen = gr.Dropdown(
                setting_choices(facts),
                value=setting or None,
                label="Errors in its training labels",
                info="Planted, so they are known.",
                elem_id="self_cleansing_setting",
            )
            arms = arm_choices(facts, setting)
            arm = gr.Dropdown(arms, value=arms[0][1] if arms else None, label="How it learned from them", elem_id="self_cleansing_arm")
            model = gr.Radio(
                MODELS,
                value="last",
                label="Which weights answer",
                info="Where one was not kept, the last epoch answers.",
                elem_id="self_cleansing_model",
            )
            smallest = gr.Slider(
                1, 400, value=1, step=1, label="Smallest region kept", info="In pixels of the picture.", elem_id="self_cleansing_smallest"
            )
            said = html.show("", elem_id="self_cleansing_said")
            heat = heat_overlay(elem_id="self_cleansing_sure", asks=True)
    desk = Desk(context, source.shown, canvas, brought.state, method, network, chosen, arm, model, smallest)
    files = outline_files("self_cleansing")
    _wire(desk, source, said, heat, site)
    MEASURES.wire(desk, brought, measured, files)
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    DESKS.keep(site, desk)


def _wire(desk: Desk, source: ImageInput, said: gr.HTML, heat: gr.HTML, site: gr.Blocks) -> None:
    outputs = [desk.canvas, said, heat]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    def another(request: gr.Request, chosen: str) -> list[gr.Dropdown]:
        with spoken():
            return dropdowns(desk.facts(request, chosen))

    def arms(request: gr.Request, network: str, chosen: str) -> gr.Dropdown:
        with spoken():
            found = arm_choices(desk.facts(request, network), chosen)
        return gr.Dropdown(choices=found, value=found[0][1] if found else None)

    def open_picture(request: gr.Request, shown: Shown, network: str) -> list[Any]:
        with spoken():
            made, task = desk.scan(request, shown), task_of(shown, tasks_of(card_of(desk.method)))
            if not task or network.startswith("job:") or task == network:
                return [gr.HTML(picture=made.for_canvas()), gr.skip(), gr.skip(), gr.skip()]
            return [gr.HTML(picture=made.for_canvas()), task, *dropdowns(desk.facts(request, task))]

    heat.opened(ask, desk.inputs, outputs, **EVENT)
    for event in (desk.arm.input, desk.model.input, desk.smallest.release):
        event(ask, desk.inputs, outputs, **EVENT)
    desk.network.input(another, desk.network, [desk.setting, desk.arm], **QUICK).then(ask, desk.inputs, outputs, **EVENT)
    desk.setting.input(arms, [desk.network, desk.setting], desk.arm, **QUICK).then(ask, desk.inputs, outputs, **EVENT)
    opened = source.shown.change(
        open_picture,
        [source.shown, desk.network],
        [desk.canvas, desk.network, desk.setting, desk.arm],
        **OPENING,
    )
    opened.then(ask, desk.inputs, outputs, **EVENT)

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=choices(desk.context, desk.method, request), value=chosen)

    site.load(networks, desk.network, desk.network, **QUICK)


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    stamp = exports.stamp(
        "self_cleansing",
        checkpoints={"Deep self-cleansing": work.predictor.name.partition("|")[0]},
        device=desk.context.device,
        task=work.task,
        setting=work.setting,
        network=work.arm,
    )
    return Outlined(work.scan, marks.chosen, work.predictor.structures, numbers(work), stamp)


def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    return {
        "task": work.task,
        "noise_in_training": work.setting,
        "network": work.arm,
        "pixels": work.result.pixels,
        "lesions": [
            {"structure": name, "pixels": one.pixels, "area": one.area, "longest": one.longest, "across": one.across, "unit": one.unit}
            for name, one in measures(work.scan, work.segments())
        ],
    }


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for canvas, sentences and the map of sureness."""
    with spoken():
        try:
            work = desk.work(request, values)
        except Late:
            return [gr.skip()] * 3
    told = segments(work.segments(), replace=True, picture=work.scan.id)
    return [gr.HTML(given=told), verdict(work), gr.HTML(data=sureness(work))]


def verdict(work: Work) -> str:
    """Where the network comes from, and whether the picture is of the kind it knows."""
    if work.task == "own":
        first = "Your own training answers. Nobody measured it on held-out pictures."
    else:
        first = f"<b>{html.text(SHORT.get(work.arm, work.arm))}</b>. Its training labels: {html.text(setting_words(work.setting))}."
    return "".join(f"<p class='lb-hint'>{one}</p>" for one in (first, *foreign(work)))


def foreign(work: Work) -> list[str]:
    """A warning where the picture is known to be of another kind than what the network learned from, or one it may have seen."""
    picture = work.scan.picture
    if work.task not in MODALITY:
        return []
    code, words = MODALITY[work.task]
    known = (
        picture.shown.id.startswith("asset:liver_slice_")
        if work.task in ("liver", "plain")
        else picture.modality in (code, "", "photo", "unknown", "phantom")
    )
    if work.task == "busi" and picture.phantom is not None and picture.phantom.family == "breast_ultrasound":
        return ["This network learned from real scans; a phantom is foreign to it, and it may well be wrong."]
    if not known or (work.task == "busi" and picture.phantom is not None):
        return [f"<b class='lb-bad'>This network learned from {words}, and this picture is none:</b> what it outlines here means nothing."]
    if picture.shown.id.startswith("data:busi"):
        return [
            "This example is from BUSI, the set this network learned from: it may have seen it. Numbers that count are in the Evidence drawer."
        ]
    return []


def sureness(work: Work) -> dict[str, Any]:
    """How probable each structure is, over the picture."""
    picture = work.scan.picture
    step = max(1, round(max(work.scan.size) / 128))
    heats = [
        Heat(STRUCTURES.get(name, name), work.result.probability[number][::step, ::step])
        for number, name in enumerate(work.predictor.structures, 1)
    ]
    return heats_data(picture.url, picture.title, heats, title="How probable the network finds each structure", shared=False)
