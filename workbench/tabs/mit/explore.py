"""Explore: one picture, a note and a phrase; the dial, swapping the picture, parts left out by hand; which heads listen; files.

Two answers are asked for apart: the note's whenever the note changes, the outline whenever phrase or threshold do, both when dial, network, parts or
picture change. An outline mended by brush therefore stays while somebody writes at the note.
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
from workbench.parts.notes import SIDES
from workbench.parts.outline_desk import Measures
from workbench.parts.outline_files import Outlined, outline_files
from workbench.parts.outline_measures import reference_input
from workbench.parts.prompt_canvas import heat, prompt_canvas, segments
from workbench.parts.text_undo import text_undo
from workbench.parts.word_shares import CSS as WORDS_CSS
from workbench.pictures import Shown
from workbench.tabs.mit import api, controls, results
from workbench.tabs.mit.desk import DESKS, MAX_TEXT, Desk, Work
from workbench.tabs.mit.names import STRUCTURE, WARNING
from workbench.tabs.mit.scan import examples, notes_to_try, phrases_to_try, truth_of_phrase
from workbench.working_scan import scan

TOOLS = ("brush", "erase", "pick")
MEASURES = Measures(lambda made, phrase: truth_of_phrase(str(phrase or ""))(made))
NO_NOTE = "<p class='lb-hint'>Write a note about the picture, or choose one to try.</p>"
NO_PHRASE = "<p class='lb-hint'>Write what is to be outlined, or choose a phrase to try.</p>"
HEAT_ROWS = 64
SLOW = EVENT | {"show_progress": "minimal"}


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn, and the controls that say which part of them."""

    bars: gr.HTML
    verdict: gr.HTML
    heads_about: gr.HTML
    head: gr.Radio
    view: gr.Radio
    words: gr.HTML
    changes: gr.HTML
    outline: gr.HTML
    probability: gr.Checkbox
    walk: gr.Button
    walked: gr.HTML

    @property
    def noted(self) -> list[Any]:
        """What follows a new answer about the note."""
        return [self.bars, self.verdict, self.heads_about, self.head, self.words, self.changes, self.walked]


@dataclass(frozen=True)
class Suggested:
    """Texts to choose from, and taking them back."""

    notes: gr.Radio
    phrases: gr.Radio
    undo_note: gr.Button
    undo_phrase: gr.Button


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="mit_warning")
    source = image_input(context, elem_id="mit_input", examples=examples())
    opening = scan(context, None, source.first)
    notes, phrases = notes_to_try(opening.picture), phrases_to_try(opening.picture)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### A phrase: which lesion is meant?", container=False)
            phrase = gr.Textbox(phrases[0], label="What to outline", info=SIDES, max_length=MAX_TEXT, elem_id="mit_phrase")
            try_phrase = gr.Radio(phrases, value=None, label="Phrases to try", elem_id="mit_phrases", elem_classes="lb-chips")
            undo_phrase = gr.Button("Undo the last change of the phrase", interactive=False, elem_id="mit_phrase_undo", scale=0)
            canvas = prompt_canvas(elem_id="mit_canvas", label="Picture", tools=TOOLS, picture=opening.for_canvas())
            outline = html.show("", elem_id="mit_outline")
            threshold = gr.Slider(
                0.05, 0.95, value=0.5, step=0.01, label="Threshold of the outline", info="Lower outlines more.", elem_id="mit_threshold"
            )
            probability = gr.Checkbox(False, label="Lay the probability over the picture", elem_id="mit_probability")
            measured = html.show("", elem_id="mit_measures")
            brought = reference_input("mit")
            files = outline_files("mit")
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### A note: does it fit the picture?", container=False)
            note = gr.Textbox(notes[0], label="Note", info=SIDES, lines=2, max_length=MAX_TEXT, elem_id="mit_note")
            try_note = gr.Radio(notes, value=None, label="Notes to try", elem_id="mit_notes", elem_classes="lb-chips")
            undo_note = gr.Button("Undo the last change of the note", interactive=False, elem_id="mit_note_undo", scale=0)
            dial = controls.dial()
            bars = charts.probability_bars(elem_id="mit_bars", asks=True)
            verdict = html.show("", elem_id="mit_verdict")
            network, *by_hand = controls.network()
    shows = Shows(bars, verdict, *_inside(), outline, probability, *_walk_box())
    desk = Desk(context, source.shown, canvas, brought.state, note, phrase, network, dial.strength, *by_hand, threshold, dial.told)
    _wire_note(desk, shows)
    _wire_outline(desk, shows)
    _wire_picture(desk, source, shows, Suggested(try_note, try_phrase, undo_note, undo_phrase))
    controls.wire_swap(desk, dial)
    MEASURES.wire(desk, brought, measured, files, [phrase])
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    _wire_walk(desk, shows)
    _wire_files(desk)
    api.publish(context)
    DESKS.keep(site, desk)


def _inside() -> list[Any]:
    """About the heads, the heads, what is shown of them, words, changes: of the answer about the note."""
    gr.Markdown("#### Which heads listen to the picture, while the note is read", container=False)
    view = gr.Radio(list(results.VIEWS), value=results.GATE, label="Show", elem_id="mit_view")
    about = html.show("", elem_id="mit_heads_about")
    head = gr.Radio([], value=None, label="Heads; choose one to see which words it listens to", visible=False, elem_id="mit_head", elem_classes="lb-chips")  # fmt: skip
    words = html.show("", elem_id="mit_words", css_template=WORDS_CSS)
    return [about, head, view, words, html.show("", elem_id="mit_changes")]


def _walk_box() -> list[Any]:
    """The button, and what it shows."""
    gr.Markdown("#### Along the dial", container=False)
    with gr.Row(elem_classes="lb-controls"):
        ask = gr.Button("Turn the dial from 0 to 1.5", elem_id="mit_walk", min_width=240, scale=0)
    return [ask, html.show("", elem_id="mit_walked")]


def _wire_note(desk: Desk, shows: Shows) -> None:
    inputs = [shows.view, shows.head, *desk.inputs]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return judged(desk, request, values)

    def look(request: gr.Request, view: str, head: str | None, *values: Any) -> list[Any]:
        with spoken():
            return looked(desk.judged(request, values), view, head)

    shows.bars.opened(ask, inputs, shows.noted, **EVENT)
    for one in (desk.note, desk.network, desk.strength, desk.parts, desk.terms, desk.layers, desk.told):
        one.change(ask, inputs, shows.noted, **EVENT)
    for one in (shows.view, shows.head):
        one.input(look, inputs, [shows.heads_about, shows.head, shows.words], **EVENT)


def _wire_outline(desk: Desk, shows: Shows) -> None:
    inputs, outputs = [shows.probability, *desk.inputs], [desk.canvas, shows.outline]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return drawn(desk, request, values)

    shows.bars.opened(ask, inputs, outputs, **EVENT)
    for one in (desk.phrase, desk.threshold, desk.network, desk.strength, desk.parts, desk.terms, desk.layers, desk.told):
        one.change(ask, inputs, outputs, **EVENT)
    shows.probability.input(ask, inputs, outputs, **EVENT)


def _wire_picture(desk: Desk, source: ImageInput, shows: Shows, suggested: Suggested) -> None:
    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        with spoken():
            made = desk.scan(request, shown)
            notes, phrases = notes_to_try(made.picture), phrases_to_try(made.picture)
        canvas = gr.HTML(picture=made.for_canvas(), heat=None)
        return [canvas, notes[0], gr.Radio(choices=notes, value=None), phrases[0], gr.Radio(choices=phrases, value=None), None]

    def both(request: gr.Request, view: str, head: str | None, probability: bool, *values: Any) -> list[Any]:
        return [*judged(desk, request, (view, head, *values)), *drawn(desk, request, (probability, *values))]

    for choice, box in ((suggested.notes, desk.note), (suggested.phrases, desk.phrase)):
        choice.input(lambda chosen: chosen or gr.skip(), choice, box, **QUICK)
    text_undo(desk.note, suggested.undo_note)
    text_undo(desk.phrase, suggested.undo_phrase)
    outputs = [desk.canvas, desk.note, suggested.notes, desk.phrase, suggested.phrases, desk.told]
    opened = source.shown.change(open_picture, source.shown, outputs, **OPENING)
    opened.then(both, [shows.view, shows.head, shows.probability, *desk.inputs], [*shows.noted, desk.canvas, shows.outline], **EVENT)


def _wire_walk(desk: Desk, shows: Shows) -> None:
    def walk(request: gr.Request, *values: Any) -> str:
        with spoken():
            work = desk.judged(request, values) if str(values[1] or "").strip() else None
            found = desk.work(request, values) if str(values[2] or "").strip() else None
            return results.walk(work, found)

    shows.walk.click(walk, desk.inputs, shows.walked, **SLOW)
    desk.phrase.change(lambda: "", None, shows.walked, **QUICK)


def _wire_files(desk: Desk) -> None:
    with gr.Row(elem_classes="lb-controls"):
        make = gr.Button("Take the numbers of the note along", elem_id="mit_take", min_width=300, scale=0)
        files = [
            gr.DownloadButton(label, visible=False, elem_id=f"mit_{kind}")
            for label, kind in (("Gates (CSV)", "csv"), ("Everything (JSON)", "json"))
        ]

    def made(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            both = taken(desk, desk.judged(request, values))
        names = ("lightbox-mit.csv", "lightbox-mit.json")
        return [gr.DownloadButton(value=exports.save(name, data), visible=True) for name, data in zip(names, both, strict=True)]

    make.click(made, desk.inputs, files, **EVENT)


def taken(desk: Desk, work: Work) -> tuple[bytes, bytes]:
    """The gates as CSV, and everything with its stamp as JSON."""
    return exports.csv_bytes(*results.as_rows(work)), exports.json_bytes(results.numbers(work), stamp=_stamp(desk, work))


def looked(work: Work, view: str, head: str | None) -> list[Any]:
    """Values for the heads' colours, the heads, the words."""
    about, cells = results.gates(work, view, head)
    return [about, cells, results.listens(work, head)]


def judged(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for `Shows.noted`; values: view, head, then `Desk.inputs`."""
    view, head, *settings = values
    if not str(settings[1] or "").strip():  # an emptied box is no mistake: somebody is about to write
        return [gr.HTML(data={"empty": ""}), NO_NOTE, "", gr.Radio(choices=[], value=None, visible=False), "", "", ""]
    with spoken():
        work = desk.judged(request, settings)
        return [gr.HTML(data=results.bars(work)), results.verdict(work), *looked(work, view, head), results.change_table(work), ""]


def drawn(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for canvas and sentences; values: probability, then `Desk.inputs`."""
    probability, *settings = values
    if not str(settings[2] or "").strip():
        return [gr.HTML(given=segments([], replace=True), heat=None), NO_PHRASE]
    with spoken():
        work = desk.work(request, settings)
        given = segments(work.segments(), replace=True, picture=work.scan.id)
        return [gr.HTML(given=given, heat=_heat(work) if probability else None), results.outline_verdict(work)]


def outlined(desk: Desk, request: Any, values: Any) -> Outlined | None:
    """What the files are made of; values: canvas, then `Desk.inputs`."""
    asked = desk.marked(request, values)
    if asked is None:
        return None
    work, marks = asked
    return Outlined(work.scan, marks.chosen, [STRUCTURE], results.numbers(work), _stamp(desk, work))


def _stamp(desk: Desk, work: Work) -> dict[str, Any]:
    checkpoints = {"MiT": work.predictor.sha256}
    return exports.stamp("mit", checkpoints=checkpoints, device=desk.context.device, text=work.text, network=work.predictor.arm)


def _heat(work: Work) -> dict[str, Any]:
    values = work.reading.probability
    step = max(1, round(max(values.shape) / HEAT_ROWS))
    label = f"Probability of belonging to “{work.text}”; the strongest colour is {100 * values.max():.0f} %"
    return heat(values[::step, ::step], (0, 0, *values.shape), label)
