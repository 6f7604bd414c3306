"""The way a slide comes into a tab: a file of one's own, the example, or one of the slides the host offers.

    source = slide_input(context, elem_id="m2ost_input")
    source.slide.change(handler, source.slide, …)

    def handler(request: gr.Request, id: str):
        facts = context.slides.get(request, id)   # SlideGone: one sentence for people

`source.slide` is a State that holds the slide's opaque id, '' where there is none; its `change` fires when another slide was chosen or when
somebody said how large a pixel is. A file that cannot be read is answered with one sentence, and everything stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.context import Context
from workbench.parts import html

_QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
KINDS = (
    "Aperio SVS, Hamamatsu NDPI, Leica SCN, Ventana BIF, Philips TIFF, Zeiss or MIRAX, pyramidal or plain TIFF, PNG and JPEG; "
    "slides of several files (MIRAX, DICOM) as one ZIP"
)


@dataclass(frozen=True)
class SlideInput:
    """The part's controls. `slide` is the State to listen to: the slide's id."""

    slide: gr.State
    first: str
    """What it holds when the page opens: a slide that everybody may see, or ''."""
    upload: gr.UploadButton
    pick: gr.Dropdown
    facts: gr.HTML


def slide_input(context: Context, *, elem_id: str) -> SlideInput:
    """Lay the part out; the first slide that everybody may see is chosen when the page opens."""
    choices = context.slides.choices(None)
    first = choices[0][1] if choices else ""
    slide = gr.State(first)
    with gr.Row(elem_classes="lb-controls lb-input", elem_id=elem_id):
        pick = gr.Dropdown(choices, value=first or None, label="Slide", elem_id=f"{elem_id}_pick", min_width=260, scale=2)
        upload = gr.UploadButton("Open a slide of your own", elem_id=f"{elem_id}_file", scale=0, min_width=220)
    facts = html.show(slide_facts(context, None, first), elem_id=f"{elem_id}_facts")
    hours = 2 * context.settings.delete_cache_s / 3600
    html.show(
        f"<details class='lb-notes'><summary>What can be opened, and what becomes of it</summary><p class='lb-hint'>{html.text(KINDS)}. Your slide stays on this server, is shown to "
        f"you alone and is deleted within {hours:.2g} hours of its last use; label and macro pictures in the file are never shown. Do not bring slides with a name written on the glass.</p></details>"
    )
    source = SlideInput(slide, first, upload, pick, facts)
    _wire(context, source)
    return source


def _wire(context: Context, source: SlideInput) -> None:
    outputs = [source.slide, source.pick, source.facts]

    def take(request: gr.Request, path: str | None) -> list[Any]:
        try:
            added = context.slides.add(request, path or "")
        except ValueError as refused:
            return [gr.skip(), gr.skip(), refused_line(refused)]
        return [added.id, gr.Dropdown(choices=context.slides.choices(request), value=added.id), slide_facts(context, request, added.id)]

    def choose(request: gr.Request, id: str | None, now: str) -> list[Any]:
        if not id or id == now:
            return [gr.skip()] * 3
        try:
            context.slides.get(request, id)
        except ValueError as refused:
            return [gr.skip(), gr.Dropdown(value=now or None), refused_line(refused)]
        return [id, gr.skip(), slide_facts(context, request, id)]

    slow = {"concurrency_id": "slides", "concurrency_limit": 2, "api_visibility": "private", "show_progress": "minimal"}
    source.upload.upload(take, source.upload, outputs, **slow)
    source.pick.input(choose, [source.pick, source.slide], outputs, **_QUICK)


def choices_for(context: Context, request: Any, id: str) -> gr.Dropdown:
    """The list of slides as this visitor may see it, with `id` chosen: for the page's load event and for links."""
    return gr.Dropdown(choices=context.slides.choices(request), value=id or None)


def refused_line(why: ValueError) -> str:
    """The one sentence for a slide that was not taken."""
    return (
        f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(why))} The slide before is still here.</p>"
    )


def slide_facts(context: Context, request: Any, id: str) -> str:
    """One line of facts, never a word of the file's own header."""
    if not id:
        return "<p class='lb-hint'>No example slide is installed here; open one of your own.</p>"
    try:
        facts = context.slides.get(request, id)
    except ValueError as gone:
        return refused_line(gone)
    said = [f"{facts.width:,} × {facts.height:,} pixels", f"{len(facts.levels)} levels"]
    said.append(f"{facts.mpp:.3g} µm a pixel" if facts.mpp else "size of a pixel not known")
    said.append(facts.reason)
    return f"<p class='lb-hint lb-facts' role='status'><b>{html.text(facts.title)}</b>: {html.text(', '.join(said))}.</p>"
