"""Explore: picture and note side by side, the verdict, the ladder between them, lenses of the prompts, words turned and left out, the hub turned by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.shared.prompt_interaction.plan import OWN
from workbench import exports
from workbench.context import Context
from workbench.note_room import api, results
from workbench.note_room.cases import examples, suggestions
from workbench.note_room.desk import ALL_RUNGS, MAX_NOTE, Desk, Work
from workbench.note_room.room import WARNING, NoteRoom
from workbench.parts import charts, html
from workbench.parts.events import EVENT, OPENING, QUICK, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.notes import SIDES
from workbench.parts.text_undo import text_undo
from workbench.parts.word_shares import CSS as WORDS_CSS
from workbench.pictures import Shown

RUNGS, PROMPTS = 3, 4
"""Of the shipped networks; the controls offer so many."""
NO_TURN = "<p class='lb-hint'>No word of this note has another value here.</p>"
WAITING = "<p class='lb-hint'>Write a note about the picture, or choose one to try.</p>"
ASK_LEFT = "Press the button above to see how much each word matters."
SLOW = EVENT | {"show_progress": "minimal"}


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn, and the controls that say which part of them."""

    lens: gr.HTML
    words: gr.HTML
    gauges: gr.HTML
    verdict: gr.HTML
    ladder: gr.HTML
    kept_words: gr.CheckboxGroup
    turns: gr.Radio
    change: gr.HTML
    ask_changed: gr.Button
    changed: gr.State
    """The changed note that can be asked."""
    rung: gr.Radio
    prompt: gr.Radio
    step: gr.Radio

    @property
    def look(self) -> list[Any]:
        """What decides which part is drawn."""
        return [self.rung, self.prompt, self.step]

    @property
    def drawn(self) -> list[Any]:
        """What follows every new answer."""
        return [self.lens, self.words, self.ladder, self.gauges, self.verdict, self.kept_words, self.turns, self.change, self.ask_changed]


def explore(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    id = room.id
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id=f"{id}_warning")
    source = image_input(context, elem_id=f"{id}_input", examples=examples())
    offered = suggestions(context.pictures.get(None, source.first))
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            lens = charts.heat_overlay(elem_id=f"{id}_lens", asks=True)
        with gr.Column(scale=3, min_width=300):
            note = gr.Textbox(offered[0], label="Note", info=SIDES, lines=2, max_length=MAX_NOTE, elem_id=f"{id}_note")
            suggested = gr.Radio(offered, value=None, label="Notes to try", elem_id=f"{id}_suggested", elem_classes="lb-chips")
            undo = gr.Button("Undo the last change of the note", interactive=False, elem_id=f"{id}_undo", scale=0)
            verdict = html.show("", elem_id=f"{id}_verdict")
            gauge = charts.gauges(elem_id=f"{id}_gauges")
            network = gr.Dropdown(
                room.choices(),
                value=OWN,
                label="Network",
                info="The whole method, or one part changed; each trained by itself.",
                elem_id=f"{id}_network",
            )
    gr.Markdown("#### The ladder: where prompts carry word between picture and note", container=False)
    with gr.Row():
        rung = gr.Radio([(f"Rung {k + 1}", k) for k in range(RUNGS)], value=1, label="Lenses at", elem_id=f"{id}_rung")
        prompt = gr.Radio(
            [("All", results.ALL), *((str(k + 1), k) for k in range(PROMPTS))],
            value=results.ALL,
            label="Lens of prompt",
            elem_id=f"{id}_prompt",
        )
        step = gr.Radio([(name, k) for k, name in enumerate(room.steps)], value=1, label="Tables show", elem_id=f"{id}_step")
    words = html.show("", elem_id=f"{id}_words", css_template=WORDS_CSS)
    ladder = html.show("", elem_id=f"{id}_ladder", css_template=results.CSS)
    gr.Markdown("#### Change the note word by word", container=False)
    kept_words = gr.CheckboxGroup([], label="Words; press one to leave it out", elem_id=f"{id}_kept_words", elem_classes="lb-chips")
    turns = gr.Radio([], value=None, label="Say one trait otherwise", elem_id=f"{id}_turns", elem_classes="lb-chips")
    change = html.show("", elem_id=f"{id}_change")
    with gr.Row(elem_classes="lb-controls"):
        ask_changed = gr.Button("Put the changed note into the box", visible=False, elem_id=f"{id}_ask_changed")
        leave = gr.Button("Leave out each word in turn", elem_id=f"{id}_leave")
    left = charts.gauges(elem_id=f"{id}_left", empty=ASK_LEFT)
    desk = Desk(room, context, source.shown, note, network, *_hub(room))
    shows = Shows(lens, words, gauge, verdict, ladder, kept_words, turns, change, ask_changed, gr.State(""), rung, prompt, step)
    _wire(desk, source, shows, suggested)
    _wire_words(desk, shows, leave, left)
    text_undo(note, undo)
    _wire_depth(desk)
    _wire_files(desk)
    api.publish(room, context)
    room.desks.keep(site, desk)


def _hub(room: NoteRoom) -> list[Any]:
    id = room.id
    with gr.Accordion("Turn the hub by hand (no network was trained like this)", open=False):
        with gr.Row():
            tau = gr.Slider(
                0.02,
                2,
                value=0.1,
                step=0.01,
                label="Temperature τ",
                info="Low: copy the most similar prompt. High: mix all alike.",
                elem_id=f"{id}_tau",
            )
            beta = gr.Slider(
                0, 2, value=1, step=0.05, label="Weight of what is taken β", info="0: each keeps to itself.", elem_id=f"{id}_beta"
            )
        with gr.Row():
            uniform = gr.Checkbox(False, label="Force all shares alike", info="Shows how much the tables matter.", elem_id=f"{id}_uniform")
            until = gr.Radio(
                [("All rungs", ALL_RUNGS), ("None", 0), *((f"Up to {k}", k) for k in range(1, RUNGS - 1))],
                value=ALL_RUNGS,
                label="Rungs that let word through",
                elem_id=f"{id}_until",
            )
    return [tau, beta, uniform, until]


def _wire(desk: Desk, source: ImageInput, shows: Shows, suggested: gr.Radio) -> None:
    inputs = [*shows.look, *desk.inputs]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    def look(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            return looked(desk.work(request, values[3:]), *values[:3])

    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            offered = suggestions(desk.scan(request, shown).picture)
        return [offered[0], gr.Radio(choices=offered, value=None)]

    shows.lens.opened(ask, inputs, shows.drawn, **EVENT)
    for one in (desk.note, desk.network, desk.tau, desk.beta, desk.uniform, desk.until):
        one.change(ask, inputs, shows.drawn, **EVENT)
    for one in shows.look:
        one.input(look, inputs, [shows.lens, shows.words, shows.ladder], **EVENT)
    suggested.input(lambda chosen: chosen or gr.skip(), suggested, desk.note, **QUICK)
    opened = source.shown.change(open_picture, source.shown, [desk.note, suggested], **OPENING)
    opened.then(ask, inputs, shows.drawn, **EVENT)


def _wire_words(desk: Desk, shows: Shows, leave: gr.Button, left: gr.HTML) -> None:
    outputs = [shows.change, shows.changed, shows.ask_changed]

    def toggle(request: gr.Request, kept: list[int], *values: Any) -> list[Any]:
        words = str(values[1] or "").split()
        text = " ".join(word for place, word in enumerate(words) if place in set(kept or ()))
        return changed(desk, request, text, "With words left out", values)

    def turn(request: gr.Request, text: str | None, *values: Any) -> list[Any]:
        return changed(desk, request, text, "Said otherwise", values)

    def each(request: gr.Request, *values: Any) -> Any:
        with spoken():
            return gr.HTML(data=results.left_out(desk.work(request, values)))

    shows.kept_words.input(toggle, [shows.kept_words, *desk.inputs], outputs, **EVENT)
    shows.turns.input(turn, [shows.turns, *desk.inputs], outputs, **EVENT)
    shows.ask_changed.click(lambda text: text or gr.skip(), shows.changed, desk.note, **QUICK)
    leave.click(each, desk.inputs, left, **SLOW)
    # what was worked out belongs to the note, picture and network it was worked out for
    for one in (desk.note, desk.shown, desk.network):
        one.change(lambda: gr.HTML(data={"empty": ASK_LEFT}), None, left, **QUICK)


def _wire_depth(desk: Desk) -> None:
    id = desk.room.id
    with gr.Row(elem_classes="lb-controls"):
        ask = gr.Button("Stop the exchange after each rung", elem_id=f"{id}_depth_ask")
    shown = html.show("", elem_id=f"{id}_depth")

    def by_depth(request: gr.Request, *values: Any) -> str:
        with spoken():
            return results.depth(desk.work(request, values))

    ask.click(by_depth, desk.inputs, shown, **SLOW)
    for one in (desk.note, desk.shown, desk.network):
        one.change(lambda: "", None, shown, **QUICK)


def _wire_files(desk: Desk) -> None:
    id = desk.room.id
    with gr.Row(elem_classes="lb-controls"):
        make = gr.Button("Take these numbers along", elem_id=f"{id}_take")
        files = [
            gr.DownloadButton(label, visible=False, elem_id=f"{id}_{kind}")
            for label, kind in (("Tables of the rungs (CSV)", "csv"), ("Everything (JSON)", "json"))
        ]

    def made(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            both = taken(desk, desk.work(request, values))
        names = (f"lightbox-{id}.csv", f"lightbox-{id}.json")
        return [gr.DownloadButton(value=exports.save(name, data), visible=True) for name, data in zip(names, both, strict=True)]

    make.click(made, desk.inputs, files, **EVENT)


def taken(desk: Desk, work: Work) -> tuple[bytes, bytes]:
    """The rungs' tables as CSV, and everything with its stamp as JSON."""
    room = desk.room
    stamp = exports.stamp(
        room.id, checkpoints={room.method.title: work.predictor.sha256}, device=desk.context.device, network=work.predictor.arm
    )
    return exports.csv_bytes(*results.as_rows(work)), exports.json_bytes(results.numbers(work), stamp=stamp)


def looked(work: Work, rung: int, prompt: int, step: int) -> list[Any]:
    """Values for lens, words and ladder."""
    return [gr.HTML(data=results.lens(work, rung, prompt)), results.words(work, rung, prompt), results.ladder(work, rung, step)]


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for `Shows.drawn`; values: rung, prompt, step, then `Desk.inputs`."""
    from models.shared.data.phantoms.note_reading import turns

    rung, prompt, step, *settings = values
    if not str(settings[1] or "").strip():  # an emptied box is no mistake: somebody is about to write
        empty = [gr.CheckboxGroup(choices=[], value=[]), gr.Radio(choices=[], value=None), "", gr.Button(visible=False)]
        return [gr.skip(), "", "", gr.HTML(data={"empty": ""}), WAITING, *empty]
    with spoken():
        work = desk.work(request, settings)
        places = list(enumerate(work.answer.words))
        offered = [(f"{one.said} → {one.other}", one.text) for one in turns(work.answer.note)]
        return [
            *looked(work, rung, prompt, step),
            gr.HTML(data=results.gauges(work)),
            results.verdict(work),
            gr.CheckboxGroup(choices=[(word, place) for place, word in places], value=[place for place, _ in places]),
            gr.Radio(choices=offered, value=None),
            "" if offered else NO_TURN,
            gr.Button(visible=False),
        ]


def changed(desk: Desk, request: Any, text: str | None, title: str, values: Any) -> list[Any]:
    """Values for the drawn change, the changed note and its button."""
    note = " ".join(str(values[1] or "").split())
    if not text or text == note:
        return ["", "", gr.Button(visible=False)]
    with spoken():
        work = desk.work(request, values)
        return [results.change(work.answer, work.ask([text])[0], title), text, gr.Button(visible=True)]
