"""Explore: one slice, its outline, the three pseudo-labels that would teach, and what is inside: one pixel's affinity, the prototypes, agreement.

The canvas tells of every settled change, so measures follow from what is outlined at that moment, brush strokes too. What decides the outline
(picture, network, labels) asks for a new one; temperatures, tau and the grid change what is drawn beside it alone and leave a mended outline be.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from models.semsim.plan import OWN
from models.shared.checkpoints import CheckpointRefused, read_card
from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import heat_overlay
from workbench.parts.charts import scatter as scatter_chart
from workbench.parts.events import EVENT, OPENING, QUICK, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import reference_input
from workbench.parts.prompt_canvas import prompt_canvas, segments
from workbench.pictures import Shown
from workbench.tabs.semsim import api, results
from workbench.tabs.semsim.desk import DESKS, OWN_NETWORKS, Desk, arms_of, facts_of, levels, nearest, shipped_facts
from workbench.tabs.semsim.inside import Probe, probe_part
from workbench.tabs.semsim.names import SHIPPED, STRUCTURES, TASK_CHOICES, WARNING
from workbench.tabs.semsim.scan import examples, truth
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(truth, STRUCTURES)


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn."""

    notice: gr.HTML
    pseudo: gr.HTML
    maps: gr.HTML
    probe: Probe
    scatter: gr.HTML

    @property
    def looked(self) -> list[Any]:
        """What a change of the settings draws anew."""
        return [self.pseudo, self.maps, *self.probe.outputs]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="semsim_warning")
    source = image_input(context, elem_id="semsim_input", examples=examples())
    opening = scan(context, None, source.first)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            canvas = prompt_canvas(elem_id="semsim_canvas", label="Slice", tools=TOOLS, picture=opening.for_canvas())
            measured = html.show("", elem_id="semsim_measures")
            brought = reference_input("semsim")
        with gr.Column(scale=2, min_width=320):
            network, arm, labelled = _choices()
            notice = html.show("", elem_id="semsim_notice")
            settings = _settings()
    desk = Desk(context, source.shown, canvas, brought.state, network, arm, labelled, settings)
    files = outline_files("semsim")
    gr.Markdown("#### Three pseudo-labels: what would teach from a slice without labels", container=False)
    known = gr.Checkbox(True, label="Show the truth beside them, where it is known", elem_id="semsim_truth", container=False)
    pseudo = html.show("", elem_id="semsim_pseudo")
    probe = probe_part(desk, opening)
    gr.Markdown("#### Maps of this slice", container=False)
    maps = heat_overlay(elem_id="semsim_maps", asks=True)
    cloud = scatter_chart(elem_id="semsim_scatter")
    shows = Shows(notice, pseudo, maps, probe, cloud)
    _wire(desk, source, shows, known, site)
    MEASURES.wire(desk, brought, measured, files)
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    api.publish(context, method)
    DESKS.keep(site, desk)


def _choices() -> tuple[gr.Dropdown, gr.Dropdown, gr.Slider]:
    facts = shipped_facts()
    known = levels(facts)
    network = gr.Dropdown(TASK_CHOICES, value=SHIPPED, label="Trained on", elem_id="semsim_task")
    arm = gr.Dropdown(
        arms_of(facts, known[0]), value=OWN, label="Network", info="The method, its rivals, or one part taken out.", elem_id="semsim_arm"
    )
    labelled = gr.Slider(
        known[0],
        max(known[-1], known[0] + 1),
        value=known[0],
        step=1,
        label="Labelled slices",
        info=labels_info(facts),
        elem_id="semsim_labelled",
    )
    return network, arm, labelled


def labels_info(facts: Any) -> str:
    """What stands under the slider of labels."""
    every = sorted(facts["levels"].values(), key=lambda level: level["labelled"])
    told = ", ".join(f"{level['labelled']} ({100 * level['labelled'] / level['of']:.1f} %)" for level in every)
    return f"Trained with {told} of {every[0]['of']}; the slider goes to the nearest."


def _settings() -> tuple[Any, ...]:
    """The six controls in the order of `desk.options_of`."""
    with gr.Row():
        tau = gr.Slider(
            0.3, 1.0, value=0.95, step=0.01, label="Confidence tau", info="From which a pseudo-label counts.", elem_id="semsim_tau"
        )
        t_aff = gr.Slider(
            0.02,
            1.0,
            value=0.1,
            step=0.01,
            label="Temperature, within the image",
            info="1: the equation as printed.",
            elem_id="semsim_t_aff",
        )
    with gr.Row():
        t_cr = gr.Slider(
            0.02,
            1.0,
            value=0.1,
            step=0.01,
            label="Temperature, across images",
            info="1: as printed; nothing passes tau.",
            elem_id="semsim_t_cr",
        )
        sharpness = gr.Slider(
            0, 2000, value=1000, step=50, label="Sharpness r", info="Higher: only full agreement counts.", elem_id="semsim_r"
        )
    with gr.Row():
        cells = gr.Radio([1, 2, 4, 8], value=4, label="Cells a side N", info="Prototypes are taken in each.", elem_id="semsim_cells")
        mode = gr.Radio(
            [("Logits", "logit"), ("Probabilities", "prob")],
            value="logit",
            label="What is spread",
            info="The paper is unclear.",
            elem_id="semsim_mode",
        )
    return tau, t_aff, t_cr, cells, sharpness, mode


def _wire(desk: Desk, source: ImageInput, shows: Shows, known: gr.Checkbox, site: gr.Blocks) -> None:
    inputs = [shows.probe.probe, known, *desk.inputs]
    looked = shows.looked

    def ask(request: gr.Request, at: Any, true: bool, *values: Any) -> list[Any]:
        return answered(desk, request, at, true, values)

    def look(request: gr.Request, at: Any, true: bool, *values: Any) -> list[Any]:
        return looked_at(desk, request, at, true, values)

    def spread(request: gr.Request, *values: Any) -> Any:
        with spoken():
            return gr.HTML(data=results.scatter(desk.work(request, values)))

    def choose(request: gr.Request, chosen: str) -> list[Any]:
        with spoken():
            return chosen_network(desk.context, request, chosen)

    def settle(request: gr.Request, chosen: str, wanted: float, arm: str) -> list[Any]:
        with spoken():
            return settled(desk.context, request, chosen, wanted, arm)

    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            picture = desk.scan(request, shown).for_canvas()
        return [gr.HTML(picture=picture), gr.HTML(picture=picture)]

    full = [desk.canvas, shows.notice, *looked]
    steps = [
        shows.maps.opened(ask, inputs, full, **EVENT),
        desk.arm.input(ask, inputs, full, **EVENT),
        desk.network.input(choose, desk.network, [desk.labelled, desk.arm], **QUICK).then(ask, inputs, full, **EVENT),
        desk.labelled.release(settle, [desk.network, desk.labelled, desk.arm], [desk.labelled, desk.arm], **QUICK).then(
            ask, inputs, full, **EVENT
        ),
        source.shown.change(open_picture, source.shown, [desk.canvas, shows.probe.probe], **OPENING).then(ask, inputs, full, **EVENT),
    ]
    for step in steps:
        step.then(spread, desk.inputs, shows.scatter, **EVENT)
    tau, t_aff, t_cr, cells, sharpness, mode = desk.settings
    for slider in (tau, t_aff, t_cr, sharpness):
        slider.release(look, inputs, looked, **EVENT)
    for radio in (cells, mode, known):
        radio.input(look, inputs, looked, **EVENT)

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=[*TASK_CHOICES, *OWN_NETWORKS.choices(desk.context, request)], value=chosen)

    site.load(networks, desk.network, desk.network, **QUICK)


def chosen_network(context: Context, request: Any, chosen: str) -> list[Any]:
    """Slider of labels and networks of a choice."""
    facts = facts_of(context, request, chosen)
    known = levels(facts)
    arms = arms_of(facts, known[0])
    own = OWN if OWN in [id for _, id in arms] else arms[0][1]
    slider = gr.Slider(
        minimum=known[0], maximum=max(known[-1], known[0] + 1), value=known[0], info=labels_info(facts), interactive=len(known) > 1
    )
    return [slider, gr.Dropdown(choices=arms, value=own)]


def settled(context: Context, request: Any, chosen: str, wanted: float, arm: str) -> list[Any]:
    """The slider at the nearest number that was trained with, and the networks there are for it; the network stays where it can."""
    facts = facts_of(context, request, chosen)
    count = nearest(wanted, levels(facts))
    arms = arms_of(facts, count)
    return [gr.Slider(value=count), gr.Dropdown(choices=arms, value=arm if arm in [id for _, id in arms] else OWN)]


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    predictor = work.predictor
    stamp = exports.stamp(
        "semsim",
        checkpoints={"SemSim": predictor.key.partition("|")[0]},
        device=desk.context.device,
        network=predictor.arm,
        labelled=predictor.labelled,
    )
    return Outlined(work.scan, marks.chosen, work.names, results.numbers(work), stamp)


def answered(desk: Desk, request: Any, at: Any, true: bool, values: Any) -> list[Any]:
    """Values for canvas and notice, then those of `looked_at`."""
    with spoken():
        work = desk.work(request, values)
        canvas = gr.HTML(given=segments(work.segments(), replace=True, picture=work.scan.id))
        return [canvas, results.notice(work), *_looked(desk, work, at, true)]


def looked_at(desk: Desk, request: Any, at: Any, true: bool, values: Any) -> list[Any]:
    """Values for pseudo-labels, maps and the probe's parts."""
    with spoken():
        return _looked(desk, desk.work(request, values), at, true)


def _looked(desk: Desk, work: Any, at: Any, true: bool) -> list[Any]:
    from workbench.tabs.semsim.inside import probed

    return [results.pseudo_labels(work, true), gr.HTML(data=results.maps(work)), *probed(work, at)]


def card_of(method: Method) -> Any:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(Path(method.card))
    except (FileNotFoundError, CheckpointRefused):
        return None
