"""The noise lab: plant or paint errors, watch the losses part in two, look at single labels under the microscope, judge them, and train again.

What is looked at comes from one of three places: the recorded study (its card and shipped networks), a run of the visitor's own once it has ended, or,
before that, the pictures with the errors that a run would be given. Decisions and painted labels belong to the page: {"index", "action", "label"}, the
last one on a picture counts, and the next run takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts import html
from workbench.parts.events import EVENT, QUICK, spoken
from workbench.parts.noise_board import noise_board
from workbench.parts.noise_board import recorded as board_data
from workbench.parts.training_panel import Controls, job_controls
from workbench.tabs.self_cleansing import microscope
from workbench.tabs.self_cleansing.microscope import Microscope
from workbench.tabs.self_cleansing.names import KIND_CHOICES, card_of, default_place, place_choices, setting_words, watched_arms

WORK = "models.self_cleansing.noise_lab:run"
RECORDED, OWN = "recorded", "own"
DONE = "Finished. Look at the suspects below, decide on them, and train again with what you decided."
ABOUT = (
    "All pictures here are **made up** (liver-like slices with tumour-like and cyst-like lesions), so it is known which labels are right. Errors are put into "
    "the training labels on purpose; the method has to find them without being told."
)
LISTED = 60


def lab(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay it out and wire it."""
    gr.Markdown(ABOUT, container=False)
    card = card_of(method)
    place = default_place(card)
    source = gr.Radio(
        [("A recorded training (at once)", RECORDED), ("A training of your own (about a minute)", OWN)],
        value=RECORDED,
        label="What to watch",
        elem_id="self_cleansing_source",
    )
    with gr.Row(elem_id="self_cleansing_recorded") as old:
        chosen = gr.Dropdown(place_choices(card), value=place or None, label="Planted errors", elem_id="self_cleansing_lab_setting")
        arms = watched_arms(card, place)
        arm = gr.Dropdown(arms, value=arms[0][1] if arms else None, label="How it was trained", elem_id="self_cleansing_lab_arm")
    with gr.Column(visible=False, elem_id="self_cleansing_own") as own:
        knobs, controls, preview = _own()
    board = noise_board(elem_id="self_cleansing_board", done=DONE, asks=True)
    parts = microscope.lay_out()
    inputs = [source, controls.job, chosen, arm, *knobs]
    _wire(method, context, board, parts, inputs, (chosen, arm))
    _wire_own(method, context, site, board, parts, controls, knobs, preview, inputs, (old, own))

    def switch(request: gr.Request, which: str, *values: Any) -> list[Any]:
        shown = [gr.Row(visible=which == RECORDED), gr.Column(visible=which == OWN)]
        return [*shown, *microscope.at(method, context, request, None, (which, *values))]

    source.input(switch, [source, *inputs[1:], parts.decisions], [old, own, *parts.outputs], **EVENT)


def _own() -> tuple[list[Any], Controls, gr.HTML]:
    """The knobs of a run, in the order of `config`, its buttons, and where its pictures are previewed."""
    with gr.Row():
        kind = gr.Dropdown(
            [("No errors", "none"), *KIND_CHOICES], value="missing", label="Kind of error to plant", elem_id="self_cleansing_kind"
        )
        alpha = gr.Slider(0, 0.8, value=0.3, step=0.05, label="Share of pictures with errors (α)", elem_id="self_cleansing_alpha")
        beta = gr.Slider(
            0.1,
            1,
            value=0.5,
            step=0.05,
            label="How wrong those are (β)",
            info="Wrong pixels for each drawn one.",
            elem_id="self_cleansing_beta",
        )
        seed = gr.Number(
            0, precision=0, minimum=0, maximum=10_000, label="Seed", info="Other pictures.", min_width=110, elem_id="self_cleansing_seed"
        )
    with gr.Accordion("Method and training", open=False):
        with gr.Row():
            cleanse = gr.Checkbox(
                True,
                label="Cleanse labels after warm-up",
                info="Off: watch the network memorise the errors.",
                elem_id="self_cleansing_cleanse",
            )
            augment = gr.Checkbox(
                False, label="Turn and mirror pictures", info="Delays learning errors by heart.", elem_id="self_cleansing_augment"
            )
            gate = gr.Radio(
                [("Picture and pixel", "both"), ("Picture alone", "sample"), ("Pixel alone", "pixel")],
                value="both",
                label="Who may call a pixel wrong",
                elem_id="self_cleansing_gate",
            )
            evidence = gr.Radio(
                [("Teacher's prediction", "prediction"), ("Class prototypes", "prototypes"), ("Mean of both", "both")],
                value="prediction",
                label="Where new labels come from",
                elem_id="self_cleansing_evidence_source",
            )
        with gr.Row():
            w = gr.Slider(
                0.05, 0.95, value=0.5, step=0.05, label="Noisy below this probability of being clean (w)", elem_id="self_cleansing_w"
            )
            kappa = gr.Slider(
                0.4, 0.99, value=0.8, step=0.01, label="A new label must be surer than this (κ)", elem_id="self_cleansing_kappa"
            )
            pictures = gr.Slider(32, 320, value=128, step=16, label="Training pictures", elem_id="self_cleansing_pictures")
            epochs = gr.Slider(4, 60, value=16, step=1, label="Epochs", elem_id="self_cleansing_epochs")
            warmup = gr.Slider(1, 40, value=7, step=1, label="Warm-up epochs on the labels as given", elem_id="self_cleansing_warmup")
    preview = html.show("", elem_id="self_cleansing_preview")
    controls = job_controls("self_cleansing_lab_run", start_label="Train with these labels")
    return [kind, alpha, beta, seed, cleanse, augment, gate, evidence, w, kappa, pictures, epochs, warmup], controls, preview


NAMES = ("kind", "alpha", "beta", "seed", "cleanse", "augment", "gate", "evidence", "w", "kappa", "pictures", "epochs", "warmup")


def config(values: Sequence[Any]) -> dict[str, Any]:
    """The knobs as `models.self_cleansing.live.LiveConfig` takes them."""
    made = dict(zip(NAMES, values, strict=True))
    whole = ("seed", "pictures", "epochs", "warmup")
    return made | {name: int(made[name] or 0) for name in whole} | {"tests": 40}


def labels_of(decisions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Picture → label, of several decisions on one the last."""
    return {str(one["index"]): one["label"] for one in decisions}


def recorded(method: Method, place: str, arm: str) -> dict[str, Any]:
    """The board's data for a training of the study. ValueErrors with a sentence."""
    from models.self_cleansing import insight
    from models.self_cleansing.casebook import load_cases

    card = card_of(method)
    if card is None:
        raise ValueError("No recorded training is here yet; choose a training of your own.")
    task, _, setting = place.partition("/")
    found = insight.epochs(card.extra, task, setting, arm)
    facts = card.extra["tasks"][task]
    ranked = [vars(one) for one in load_cases(task, setting, arm).ranked()[:LISTED]]
    note = f"{facts['pool']} made-up training pictures; planted: {setting_words(setting)}. The card's first training, epoch by epoch."
    return board_data(
        found, title=f"{len(found)} epochs, {facts['training']['warmup']} of them warm-up", note=note, warmup=facts["training"]["warmup"],
        structures=facts["structures"], ranked=ranked,
    )  # fmt: skip


def _wire(
    method: Method, context: Context, board: gr.HTML, parts: Microscope, inputs: list[Any], chooses: tuple[gr.Dropdown, gr.Dropdown]
) -> None:
    chosen, arm = chooses

    def show(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            data = recorded(method, values[2], values[3])
        first = data["ranked"][0]["index"] if data["ranked"] else 0
        return [gr.HTML(recorded=data, job={}), *microscope.at(method, context, request, first, values)]

    def begin(request: gr.Request, *values: Any) -> list[Any]:
        """A run of the visitor's that is going on, found again after a reload, stays on the board."""
        return [gr.skip() for _ in range(1 + len(parts.outputs))] if values[1] else show(request, *values)

    def arms(place: str) -> gr.Dropdown:
        found = watched_arms(card_of(method), place)
        return gr.Dropdown(choices=found, value=found[0][1] if found else None)

    def look(request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        return microscope.at(method, context, request, getattr(event, "index", 0), values)

    with_decisions = [*inputs, parts.decisions]
    board.opened(begin, with_decisions, [board, *parts.outputs], **EVENT)
    chosen.input(arms, chosen, arm, **QUICK).then(show, with_decisions, [board, *parts.outputs], **EVENT)
    arm.input(show, with_decisions, [board, *parts.outputs], **EVENT)
    board.chosen(look, with_decisions, parts.outputs, **EVENT)
    parts.wire(method, context, with_decisions)


def _wire_own(
    method: Method,
    context: Context,
    site: gr.Blocks,
    board: gr.HTML,
    parts: Microscope,
    controls: Controls,
    knobs: list[Any],
    preview: gr.HTML,
    inputs: list[Any],
    halves: tuple[gr.Row, gr.Column],
) -> None:
    def begin(*values: Any) -> dict[str, Any]:
        from models.self_cleansing.live import read_config

        *settings, decisions = values
        made = config(settings)
        read_config(made)
        return made | {"labels": labels_of(decisions)}

    def title(made: dict[str, Any]) -> str:
        return f"Noise lab, {made['kind']} in {made['alpha']:.0%}"

    controls.wire(context, board, config=begin, inputs=[*knobs, parts.decisions], work=WORK, title=title)

    def planted(request: gr.Request, *values: Any) -> list[Any]:
        """The errors have changed: what was looked at belongs to other labels, and decisions on other pictures count for nothing."""
        return [
            microscope.previewed(config(values[4:-1]), values[-1]),
            "",
            *microscope.at(method, context, request, None, (*values[:1], "", *values[2:])),
        ]

    every = [*inputs, parts.decisions]
    for knob in (knobs[0].input, knobs[1].release, knobs[2].release, knobs[10].release):
        knob(planted, every, [preview, controls.job, *parts.outputs], **EVENT)
    knobs[3].change(list, None, parts.decisions, **QUICK).then(planted, every, [preview, controls.job, *parts.outputs], **EVENT)
    inputs[0].input(lambda *values: microscope.previewed(config(values[:-1]), values[-1]), [*knobs, parts.decisions], preview, **EVENT)

    def ended(request: gr.Request, *values: Any) -> list[Any]:
        return microscope.at(method, context, request, None, values)

    board.ended(ended, every, parts.outputs, **EVENT)

    def again(request: gr.Request) -> list[Any]:
        shown, job = controls.find_again(context, board, WORK)(request)
        return [shown, job, *((OWN, gr.Row(visible=False), gr.Column(visible=True)) if job else (gr.skip(), gr.skip(), gr.skip()))]

    site.load(again, None, [board, controls.job, inputs[0], *halves], **QUICK)


def finished(context: Context, request: Any, job: str) -> Any:
    """The pictures of the visitor's run, or None while there are none."""
    from models.self_cleansing.noise_lab import FILES, read_cases

    try:
        path = context.jobs.result(context.own_job(job, request).id).get(FILES["cases"]) if job else None
    except JobNotFound:
        return None
    return read_cases(path) if path else None
