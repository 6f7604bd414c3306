"""Explore: one picture and a request; the answer with its outlines or drawing, the neurons on the way, dials, silencing by hand, four requests at once.

The network is asked again when request, network, dials or silenced neurons change; the raster's view, tokens and chosen neuron only look at the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.neural_tuning.plan import OWN
from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import charts, html
from workbench.parts.events import EVENT, OPENING, QUICK, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.notes import SIDES
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import reference_input
from workbench.parts.prompt_canvas import prompt_canvas, segments
from workbench.parts.text_undo import text_undo
from workbench.parts.word_shares import CSS as WORDS_CSS
from workbench.pictures import Shown
from workbench.tabs.neural_tuning import api, board, neurons, results
from workbench.tabs.neural_tuning.desk import DESKS, MAX_TEXT, Desk, Work
from workbench.tabs.neural_tuning.names import LAYERS, STRUCTURE, TASK_WORDS, TRAINED, WARNING, arm_choices, neuron_choices
from workbench.tabs.neural_tuning.scan import examples, mask_of, requests_to_try
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(lambda made, request: mask_of(str(request or ""))(made))
NO_REQUEST = "<p class='lb-hint'>Write a request, or choose one to try.</p>"
LEGEND = (
    f"Beside layers {' and '.join(map(str, LAYERS))} of the frozen language model sit {TRAINED.neurons} neurons each. For every single token the most active ones "
    "are chosen; nothing assigns a neuron to a task, so a task's neurons are a count of what happened."
)
FIRST = "outline"


@dataclass(frozen=True)
class Shows:
    """Where an answer is drawn, and the controls that say which part of it."""

    told: gr.HTML
    drawn: gr.HTML
    like: gr.HTML
    about: gr.HTML
    neuron: gr.Radio
    driven: gr.HTML
    view: gr.Radio
    kind: gr.Radio
    memory: gr.State
    """The last two answers' neurons, as `neurons.kept`."""

    @property
    def looked(self) -> list[Any]:
        """What follows from the raster's controls."""
        return [self.about, self.neuron, self.driven]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="neural_tuning_warning")
    source = image_input(context, elem_id="neural_tuning_input", examples=examples())
    opening = scan(context, None, source.first)
    asks = requests_to_try(opening.picture)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            words = gr.Textbox(asks[FIRST][0], label="Request", info=SIDES, max_length=MAX_TEXT, elem_id="neural_tuning_request")
            suggested = gr.Radio(
                choices(asks), value=None, label="Requests to try", elem_id="neural_tuning_requests", elem_classes="lb-chips"
            )
            undo = gr.Button("Undo the last change of the request", interactive=False, elem_id="neural_tuning_undo", scale=0)
            canvas = prompt_canvas(elem_id="neural_tuning_canvas", label="Picture", tools=TOOLS, picture=opening.for_canvas())
            threshold = gr.Slider(
                0.05, 0.95, value=0.5, step=0.01, label="Threshold of the outlines", info="Lower outlines more.",
                elem_id="neural_tuning_threshold",
            )  # fmt: skip
            measured = html.show("", elem_id="neural_tuning_measures")
            brought = reference_input("neural_tuning")
            files = outline_files("neural_tuning")
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### The answer", container=False)
            told = html.show("", elem_id="neural_tuning_told")
            drawn = html.show("", elem_id="neural_tuning_drawn", css_template=neurons.CSS)
            dials = _dials()
            gr.Markdown(f"#### The neurons on the way\n\n{LEGEND}", container=False)
            shows = Shows(told, drawn, *_inside(), gr.State([]))
            silencing, along = _buttons()
    desk = Desk(context, source.shown, canvas, brought.state, words, *dials, threshold)
    _wire_answer(desk, shows)
    _wire_silence(desk, shows, *silencing)
    fours = board.board(asks)
    _wire_picture(desk, source, shows, suggested, undo, fours)
    board.wire(desk, fours)
    MEASURES.wire(desk, brought, measured, files, [words])
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    _wire_files(desk, *along)
    api.publish(context)
    DESKS.keep(site, desk)


def choices(asks: Any) -> list[tuple[str, str]]:
    """Requests as choices, each led by its task."""
    return [(f"{TASK_WORDS[task]}: {text}", text) for task, some in asks.items() for text in some]


def _dials() -> list[Any]:
    """Network, ρ, α, all active, silenced."""
    network = gr.Dropdown(
        arm_choices(), value=OWN, label="Network", info="The whole method, or one part changed; each trained by itself.",
        elem_id="neural_tuning_network",
    )  # fmt: skip
    with gr.Row():
        rho = gr.Slider(
            0.05, 1, value=TRAINED.rho, step=0.05, label="Active share ρ", info=f"Of the neurons, for each token. Trained at {TRAINED.rho:g}.",
            elem_id="neural_tuning_rho", min_width=200,
        )  # fmt: skip
        alpha = gr.Slider(
            0, 1, value=TRAINED.alpha, step=0.05, label="Memory over depth α",
            info=f"How much a layer keeps of the neurons below. Trained at {TRAINED.alpha:g}.", elem_id="neural_tuning_alpha", min_width=200,
        )  # fmt: skip
    dense = gr.Checkbox(
        False, label="All neurons active", info="No choice at all, as a flag of the released code has it; not what it was trained for.",
        elem_id="neural_tuning_dense",
    )  # fmt: skip
    silenced = gr.Dropdown(
        neuron_choices(), value=[], multiselect=True, label="Silenced neurons", info="Their activity is set to nought in every answer. Remove one to let it speak again.",
        elem_id="neural_tuning_silenced",
    )  # fmt: skip
    return [network, rho, alpha, dense, silenced]


def _inside() -> list[Any]:
    """Resemblance, about, neurons, what drives one, view, tokens counted."""
    like = charts.gauges(elem_id="neural_tuning_like", asks=True)
    view = gr.Radio(list(neurons.VIEWS), value=neurons.THIS, label="Show", elem_id="neural_tuning_view", elem_classes="lb-chips")
    kind = gr.Radio(
        list(neurons.COUNTED), value=neurons.EVERY, label="Tokens counted", elem_id="neural_tuning_kind", elem_classes="lb-chips"
    )
    about = html.show("", elem_id="neural_tuning_about")
    neuron = gr.Radio([], value=None, label="Neurons; choose one to see what drives it", visible=False, elem_id="neural_tuning_neuron", elem_classes="lb-chips")  # fmt: skip
    driven = html.show("", elem_id="neural_tuning_driven", css_template=WORDS_CSS)
    return [like, about, neuron, driven, view, kind]


def _wire_answer(desk: Desk, shows: Shows) -> None:
    inputs = [shows.view, shows.kind, shows.neuron, shows.memory, *desk.inputs]
    outputs = [desk.canvas, shows.told, shows.drawn, *shows.looked, shows.memory]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    def look(request: gr.Request, view: str, kind: str, neuron: str | None, memory: list, *values: Any) -> list[Any]:
        if not str(values[1] or "").strip():
            return [gr.skip() for _ in shows.looked]
        with spoken():
            return looked(desk.work(request, values), view, kind, neuron, memory)

    def resemble(request: gr.Request, *values: Any) -> Any:
        return likened(desk, request, values)

    # the answer first: what it resembles is counted on phantoms, which takes a while the first time
    shows.like.opened(ask, inputs, outputs, **EVENT).then(resemble, desk.inputs, shows.like, **EVENT)
    for one in (desk.request, *desk.dials):
        one.change(ask, inputs, outputs, **EVENT).then(resemble, desk.inputs, shows.like, **EVENT)
    desk.threshold.change(ask, inputs, outputs, **EVENT)
    for one in (shows.view, shows.kind, shows.neuron):
        one.input(look, inputs, shows.looked, **EVENT)


def _wire_silence(desk: Desk, shows: Shows, silence: gr.Button, release: gr.Button) -> None:
    silence.click(
        lambda neuron, now: sorted({*(now or []), *([neuron] if neuron else [])}), [shows.neuron, desk.silenced], desk.silenced, **QUICK
    )
    release.click(list, None, desk.silenced, **QUICK)


def _wire_picture(desk: Desk, source: ImageInput, shows: Shows, suggested: gr.Radio, undo: gr.Button, fours: board.Board) -> None:
    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            made = desk.scan(request, shown)
            asks = requests_to_try(made.picture)
        four = [asks[task][0] for task in fours.boxes]
        return [gr.HTML(picture=made.for_canvas()), asks[FIRST][0], gr.Radio(choices=choices(asks), value=None), *four, ""]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    suggested.input(lambda chosen: chosen or gr.skip(), suggested, desk.request, **QUICK)
    text_undo(desk.request, undo)
    outputs = [desk.canvas, desk.request, suggested, *fours.boxes.values(), fours.shown]
    opened = source.shown.change(open_picture, source.shown, outputs, **OPENING)
    opened.then(
        ask,
        [shows.view, shows.kind, shows.neuron, shows.memory, *desk.inputs],
        [desk.canvas, shows.told, shows.drawn, *shows.looked, shows.memory],
        **EVENT,
    )


def _buttons() -> tuple[list[gr.Button], list[Any]]:
    """(silence, let speak), (take along, the files)."""
    with gr.Row(elem_classes="lb-controls"):
        silence = gr.Button("Silence the chosen neuron", elem_id="neural_tuning_silence", min_width=220, scale=0)
        release = gr.Button("Let all speak again", elem_id="neural_tuning_release", min_width=180, scale=0)
    with gr.Row(elem_classes="lb-controls"):
        take = gr.Button("Take answer and neurons along", elem_id="neural_tuning_take", min_width=260, scale=0)
        files = [
            gr.DownloadButton(label, visible=False, elem_id=f"neural_tuning_{kind}")
            for label, kind in (("Active neurons of every token (CSV)", "csv"), ("Everything (JSON)", "json"))
        ]
    return [silence, release], [take, *files]


def _wire_files(desk: Desk, make: gr.Button, *files: Any) -> None:
    def made(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            both = taken(desk, desk.work(request, values))
        names = ("lightbox-neural-tuning.csv", "lightbox-neural-tuning.json")
        return [gr.DownloadButton(value=exports.save(name, data), visible=True) for name, data in zip(names, both, strict=True)]

    make.click(made, desk.inputs, list(files), **EVENT)


def taken(desk: Desk, work: Work) -> tuple[bytes, bytes]:
    """Every token's active neurons as CSV, and everything with its stamp as JSON."""
    return exports.csv_bytes(*results.as_rows(work)), exports.json_bytes(results.numbers(work), stamp=_stamp(desk, work))


def looked(work: Work, view: str, kind: str, neuron: str | None, memory: Any) -> list[Any]:
    """Values for `Shows.looked`; memory: of this answer and the one before."""
    before = memory[0] if len(memory) > 1 else None
    about, cells, chosen = neurons.raster(work, view, kind, neuron, before)
    return [about, cells, neurons.driven(work, view, chosen)]


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for canvas, answer, drawing, raster and memory; values: view, tokens, neuron, memory, then `Desk.inputs`."""
    view, kind, neuron, memory, *settings = values
    if not str(settings[1] or "").strip():  # an emptied box is no mistake: somebody is about to write
        hidden = gr.Radio(choices=[], value=None, visible=False)
        return [gr.HTML(given=segments([], replace=True)), NO_REQUEST, "", "", hidden, "", memory]
    with spoken():
        work = desk.work(request, settings)
        memory = remembered(memory, neurons.kept(work))
        given = segments(work.segments(), replace=True, picture=work.scan.id)
        shown = looked(work, view, kind, neuron, memory)
        return [gr.HTML(given=given), results.told(work), results.drawn(work), *shown, memory]


def likened(desk: Desk, request: Any, values: Any) -> Any:
    """Which task's neurons the answer resembles; values as `Desk.inputs`."""
    if not str(values[1] or "").strip():
        return gr.HTML(data={"empty": ""})
    with spoken():
        return gr.HTML(data=neurons.likeness(desk.work(request, values)))


def remembered(memory: Any, now: Any) -> list[Any]:
    """The last two answers that differ; the newest last."""
    past = list(memory or [])
    if now is None or (past and past[-1] == now):
        return past
    return [*past, now][-2:]


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    return Outlined(work.scan, marks.chosen, [STRUCTURE], results.numbers(work), _stamp(desk, work))


def _stamp(desk: Desk, work: Work) -> dict[str, Any]:
    checkpoints = {"Neural Tuning": work.predictor.sha256}
    return exports.stamp(
        "neural_tuning", checkpoints=checkpoints, device=desk.context.device, request=work.request, network=work.predictor.arm
    )
