"""Explore: one picture, a note and a phrase; the dial, swapping the picture, parts left out by hand; which heads listen; files.

Two answers are asked for apart: the note's whenever the note changes, the outline whenever phrase or threshold do, both when dial, network, parts or
picture change. An outline mended by brush therefore stays while somebody writes at the note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.mit.plan import OWN
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
from workbench.pictures import Shown, url
from workbench.tabs.mit import api, results
from workbench.tabs.mit.desk import DESKS, MAX_TEXT, Desk, Work
from workbench.tabs.mit.names import LAYERS, PARTS, STRUCTURE, TERMS, WARNING, arm_choices
from workbench.tabs.mit.scan import examples, label_of, notes_to_try, phrases_to_try, truth_of_phrase
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
    controls, swap, back, other = _controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### A note: does it fit the picture?", container=False)
            note = gr.Textbox(notes[0], label="Note", info=SIDES, lines=2, max_length=MAX_TEXT, elem_id="mit_note")
            try_note = gr.Radio(notes, value=None, label="Notes to try", elem_id="mit_notes", elem_classes="lb-chips")
            undo_note = gr.Button("Undo the last change of the note", interactive=False, elem_id="mit_note_undo", scale=0)
            bars = charts.probability_bars(elem_id="mit_bars", asks=True)
            verdict = html.show("", elem_id="mit_verdict")
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("#### A phrase: which lesion is meant?", container=False)
            phrase = gr.Textbox(phrases[0], label="What to outline", max_length=MAX_TEXT, elem_id="mit_phrase")
            try_phrase = gr.Radio(phrases, value=None, label="Phrases to try", elem_id="mit_phrases", elem_classes="lb-chips")
            undo_phrase = gr.Button("Undo the last change of the phrase", interactive=False, elem_id="mit_phrase_undo", scale=0)
            canvas = prompt_canvas(elem_id="mit_canvas", label="Picture", tools=TOOLS, picture=opening.for_canvas())
            with gr.Row():
                threshold = gr.Slider(0.05, 0.95, value=0.5, step=0.01, label="Threshold of the outline", info="Lower outlines more.", elem_id="mit_threshold")  # fmt: skip
                probability = gr.Checkbox(False, label="Lay the probability over the picture", elem_id="mit_probability")
            outline = html.show("", elem_id="mit_outline")
            measured = html.show("", elem_id="mit_measures")
            brought = reference_input("mit")
            files = outline_files("mit")
    shows = Shows(bars, verdict, *_inside(), outline, probability, *_walk_box())
    desk = Desk(context, source.shown, canvas, brought.state, note, phrase, *controls, threshold, gr.State(None))
    _wire_note(desk, shows)
    _wire_outline(desk, shows)
    _wire_picture(desk, source, shows, Suggested(try_note, try_phrase, undo_note, undo_phrase))
    _wire_swap(desk, swap, back, other)
    MEASURES.wire(desk, brought, measured, files, [phrase])
    files.wire(context, lambda request, *values: outlined(desk, request, values), [canvas, *desk.inputs], **EVENT)
    _wire_walk(desk, shows)
    _wire_files(desk)
    api.publish(context)
    DESKS.keep(site, desk)


def _controls() -> tuple[list[Any], gr.Button, gr.Button, gr.HTML]:
    """(network, dial, parts, terms, layers), swapping and back, and what is told of."""
    gr.Markdown("#### How the picture gets in", container=False)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            strength = gr.Slider(
                0, 1.5, value=1, step=0.05, label="Infusion dial", info="0: the language model alone. 1: as trained. Above 1: more than it was trained for.",
                elem_id="mit_dial",
            )  # fmt: skip
        with gr.Column(scale=2, min_width=300):
            network = gr.Dropdown(arm_choices(), value=OWN, label="Network", info="The whole method, or one part changed; each trained by itself.", elem_id="mit_network")  # fmt: skip
    with gr.Row(elem_classes="lb-controls"):
        swap = gr.Button("Swap the picture, keep the words", elem_id="mit_swap", min_width=280, scale=0)
        back = gr.Button("Back to the picture shown", visible=False, elem_id="mit_swap_back", min_width=230, scale=0)
    other = html.show("", elem_id="mit_other")
    with gr.Accordion("Leave parts out by hand (the weights stay as they were trained)", open=False, elem_id="mit_by_hand"):
        with gr.Row():
            parts = gr.CheckboxGroup(PARTS, value=[name for _, name in PARTS], label="What the picture changes", elem_id="mit_parts")
            terms = gr.CheckboxGroup(TERMS, value=[name for _, name in TERMS], label="What opens a head's gate", info="With neither, every gate is fully open.", elem_id="mit_terms")  # fmt: skip
            layers = gr.CheckboxGroup(
                [(f"Layer {number}", number) for number in LAYERS], value=list(LAYERS), label="Layers that may be infused",
                info="MiT was trained with 2 and 3.", elem_id="mit_layers",
            )  # fmt: skip
        gr.Markdown(
            "The form, adding as released or replacing as printed, cannot be turned by hand: choose the network *Printed form*, which was trained that way.",
            container=False,
            elem_classes="lb-hint",
        )
    return [network, strength, parts, terms, layers], swap, back, other


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
        ask = gr.Button("Turn the dial from 0 to 1.5", elem_id="mit_walk")
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


def _wire_swap(desk: Desk, swap: gr.Button, back: gr.Button, other: gr.HTML) -> None:
    outputs = [desk.told, back, other]

    def to_other(request: gr.Request, shown: Shown, told: Shown | None) -> list[Any]:
        chosen = another(shown, told)
        with spoken():
            return [chosen, gr.Button(visible=True), _told_of(label_of(chosen) or desk.scan(request, chosen).picture.title, chosen)]

    swap.click(to_other, [desk.shown, desk.told], outputs, **QUICK)
    back.click(lambda: None, None, desk.told, **QUICK)
    desk.told.change(lambda told: [gr.Button(visible=told is not None), gr.skip() if told else ""], desk.told, [back, other], **QUICK)


def another(shown: Shown, told: Shown | None) -> Shown:
    """The example after the one told of, never the picture shown itself."""
    ids = [one.id for one in examples() if one.id != shown.id]
    place = ids.index(told.id) + 1 if told is not None and told.id in ids else 0
    return Shown(ids[place % len(ids)])


def _told_of(title: str, told: Shown) -> str:
    words = (
        "The language model is now told of this picture; note, phrase and the picture that is outlined stay. Press again for the next one."
    )
    return (
        f"<figure class='lb-change'><img src='{html.text(url(told, side_px=144))}' alt='{html.text(title)}' width='96' height='96'>"
        f"<figcaption><p class='lb-hint'><b>{html.text(title)}</b></p><p class='lb-hint'>{words}</p></figcaption></figure>"
    )


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
        make = gr.Button("Take the numbers of the note along", elem_id="mit_take")
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
