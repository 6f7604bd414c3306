"""Explore: one picture, one phrase, the lesion it names; turn a word round, look inside, mend by brush, measure, take along.

The network is asked whenever the phrase changes, letter by letter. The canvas tells of every settled change (`changed`), also of an answer laid on it;
measures follow from what is outlined at that moment, so that a correction by hand counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import charts, html
from workbench.parts.events import EVENT, OPENING, QUICK, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import reference_input
from workbench.parts.prompt_canvas import heat, prompt_canvas, segments
from workbench.pictures import Shown
from workbench.tabs.lsms import api, results
from workbench.tabs.lsms.desk import DESKS, MAX_PHRASE, Desk, Work
from workbench.tabs.lsms.names import SIDES, STRUCTURE, WARNING, arm_choices
from workbench.tabs.lsms.scan import examples, suggestions, truth_of
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(lambda made, phrase: truth_of(str(phrase or ""))(made))
NO_WORD = "No word of this phrase has an opposite here."


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn."""

    gauges: gr.HTML
    verdict: gr.HTML
    turns: gr.Radio
    change: gr.HTML
    inside: gr.HTML


@dataclass(frozen=True)
class Looks:
    """What is looked at beside the outline."""

    probability: gr.Checkbox
    what: gr.Radio
    stage: gr.Radio
    suggested: gr.Radio
    ask_turned: gr.Button


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="lsms_warning")
    source = image_input(context, elem_id="lsms_input", examples=examples())
    opening, offered = scan(context, None, source.first), suggestions(source.first)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            canvas = prompt_canvas(elem_id="lsms_canvas", label="Slice", tools=TOOLS, picture=opening.for_canvas())
            measured = html.show("", elem_id="lsms_measures")
            brought = reference_input("lsms")
        with gr.Column(scale=2, min_width=320):
            phrase = gr.Textbox(offered[0], label="What to outline", info=SIDES, max_length=MAX_PHRASE, elem_id="lsms_phrase")
            suggested = gr.Radio(offered, value=None, label="Phrases to try", elem_id="lsms_suggested", elem_classes="lb-chips")
            verdict = html.show("", elem_id="lsms_verdict")
            gauge = charts.gauges(elem_id="lsms_gauges", asks=True)
            arm = gr.Dropdown(
                arm_choices(), value="full", label="Network", info="The whole method, or one part taken out.", elem_id="lsms_arm"
            )
            with gr.Row():
                threshold = gr.Slider(
                    0.05,
                    0.95,
                    value=0.5,
                    step=0.01,
                    label="Threshold of the outline",
                    info="Lower outlines more.",
                    elem_id="lsms_threshold",
                )
                abstain = gr.Slider(
                    0.02, 0.5, value=0.5, step=0.01, label="Withhold from this doubt on", info="0.5: never.", elem_id="lsms_abstain"
                )
            probability = gr.Checkbox(False, label="Lay the probability over the slice", elem_id="lsms_probability")
    gr.Markdown("#### Turn one word round", container=False)
    turns = gr.Radio([], value=None, label="Swap a word for its opposite", elem_id="lsms_turns", elem_classes="lb-chips")
    change = html.show("", elem_id="lsms_change")
    ask_turned = gr.Button("Ask it this way", visible=False, elem_id="lsms_ask_turned", scale=0)
    desk = Desk(context, source.shown, canvas, brought.state, phrase, arm, threshold, abstain)
    files = outline_files("lsms")
    gr.Markdown("#### Inside the network", container=False)
    with gr.Row():
        what = gr.Radio(list(results.INSIDE), value="words", label="Show", elem_id="lsms_what", scale=3)
        stage = gr.Radio(
            [(f"Stage {k}", k) for k in (1, 2, 3)],
            value=3,
            label="Stage",
            info="1 is the finest, 3 the coarsest.",
            elem_id="lsms_stage",
            scale=1,
        )
    shows = Shows(gauge, verdict, turns, change, charts.heat_overlay(elem_id="lsms_inside"))
    looks = Looks(probability, what, stage, suggested, ask_turned)
    _wire(desk, source, shows, looks)
    _wire_turns(desk, shows, looks)
    MEASURES.wire(desk, brought, measured, files, [phrase])
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    api.publish(context)
    DESKS.keep(site, desk)


def _wire(desk: Desk, source: ImageInput, shows: Shows, looks: Looks) -> None:
    outputs = [desk.canvas, shows.gauges, shows.verdict, shows.turns, shows.change, looks.ask_turned, shows.inside]
    inputs = [looks.probability, looks.what, looks.stage, *desk.inputs]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            made, offered = desk.scan(request, shown), suggestions(shown)
        return [gr.HTML(picture=made.for_canvas(), heat=None), offered[0], gr.Radio(choices=offered, value=None)]

    def look(request: gr.Request, what: str, stage: int, *values: Any) -> Any:
        with spoken():
            return gr.HTML(data=results.inside(desk.work(request, values), what, stage))

    for event in (
        shows.gauges.opened,
        desk.phrase.change,
        desk.arm.change,
        desk.threshold.change,
        desk.abstain.change,
        looks.probability.input,
    ):
        event(ask, inputs, outputs, **EVENT)
    looks.suggested.input(lambda chosen: chosen, looks.suggested, desk.phrase, **QUICK)
    opened = source.shown.change(
        open_picture,
        source.shown,
        [desk.canvas, desk.phrase, looks.suggested],
        **OPENING,
    )
    opened.then(ask, inputs, outputs, **EVENT)
    for choice in (looks.what, looks.stage):
        choice.input(look, [looks.what, looks.stage, *desk.inputs], shows.inside, **EVENT)


def _wire_turns(desk: Desk, shows: Shows, looks: Looks) -> None:
    def turn(request: gr.Request, text: str | None, *values: Any) -> list[Any]:
        return turned(desk, request, text, values)

    shows.turns.input(turn, [shows.turns, *desk.inputs], [shows.change, looks.ask_turned], **EVENT)
    looks.ask_turned.click(lambda text: text or gr.skip(), shows.turns, desk.phrase, **QUICK)


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for canvas, gauges, verdict, turned words, change, its button, maps; values: probability, what, stage, then `Desk.inputs`."""
    from models.lsms.phrases import counterfactuals

    probability, what, stage, *settings = values
    if not str(settings[1] or "").strip():  # an emptied box is no mistake: somebody is about to write
        waiting = "<p class='lb-hint'>Write what is to be outlined, or choose a phrase to try.</p>"
        return [
            gr.HTML(given=segments([], replace=True), heat=None), gr.HTML(data={"empty": ""}), waiting, gr.Radio(choices=[], value=None), "",
            gr.Button(visible=False), gr.skip(),
        ]  # fmt: skip
    with spoken():
        work = desk.work(request, settings)
        turns = [(f"{word} → {other}", text) for word, other, text in counterfactuals(work.phrase)]
        return [
            gr.HTML(given=segments(work.segments(), replace=True, picture=work.scan.id), heat=_heat(work) if probability else None),
            gr.HTML(data=results.gauges(work)),
            results.verdict(work),
            gr.Radio(choices=turns, value=None),
            "" if turns else f"<p class='lb-hint'>{NO_WORD}</p>",
            gr.Button(visible=False),
            gr.HTML(data=results.inside(work, what, stage)),
        ]


def _heat(work: Work) -> dict[str, Any]:
    values = work.answer.probability
    step = max(1, round(max(values.shape) / 64))
    label = f"Probability of belonging to “{work.phrase}”; the strongest colour is {100 * work.answer.probability.max():.0f} %"
    return heat(values[::step, ::step], (0, 0, *values.shape), label)


def turned(desk: Desk, request: Any, text: str | None, values: Any) -> list[Any]:
    """Values for the drawn change and its button."""
    if not text:
        return ["", gr.Button(visible=False)]
    with spoken():
        return [results.change(desk.work(request, values), text), gr.Button(visible=True)]


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    stamp = exports.stamp(
        "lsms", checkpoints={"LSMS": work.predictor.sha256}, device=desk.context.device, phrase=work.phrase, network=work.predictor.arm
    )
    return Outlined(work.scan, marks.chosen, [STRUCTURE], results.numbers(work), stamp)
