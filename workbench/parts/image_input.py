"""The way a picture comes into a tab: a file of one's own, or an example; which frame of it; through which window.

    source = image_input(context, elem_id="promim_input", examples=[phantom("brain_mr", 3), phantom("liver_ct", 5)])
    source.shown.change(handler, [source.shown, …], …)

    def handler(request: gr.Request, shown: Shown, …):
        picture = context.pictures.get(request, shown)   # pixels, url, content_hash, spacing_mm, phantom …

`source.shown` is a State that always holds a `Shown` (`workbench.pictures`): at first `source.first`, the first example, so that a tab has
something to draw before anybody touched it; its `change` fires when picture, frame or window changed. A file that cannot be read is answered
with one sentence, and everything stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.context import Context
from workbench.examples import Example, phantom_key
from workbench.imaging import InputRefused
from workbench.imaging.sniff import NAMES
from workbench.parts import html
from workbench.parts.browser import _drawn
from workbench.pictures import Picture, PictureGone, Shown, url

THUMB_PX = 144
BY_HAND = "Set by hand"
_MODALITIES = {
    "CT": "CT",
    "MR": "MR",
    "US": "ultrasound",
    "CR": "radiograph",
    "DX": "radiograph",
    "MG": "mammogram",
    "photo": "colour picture",
}
_ENDINGS = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".nii", ".gz", ""]
_QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


@dataclass(frozen=True)
class ImageInput:
    """The part's controls. `shown` is the State to listen to; `first` is what it holds when the page opens."""

    shown: gr.State
    first: Shown
    upload: gr.UploadButton
    strip: gr.HTML
    facts: gr.HTML


@dataclass(frozen=True)
class _Parts:
    frame: gr.Slider
    window: gr.Row
    preset: gr.Dropdown
    centre: gr.Number
    width: gr.Number

    def all(self) -> list[Any]:
        return [self.frame, self.window, self.preset, self.centre, self.width]


def image_input(context: Context, *, elem_id: str, examples: Sequence[Example]) -> ImageInput:
    """Lay the part out. `examples`: at least one; the first is there on first open."""
    if not examples:
        raise ValueError("An image input needs at least one example, so that the page opens with something to look at.")
    for example in examples:
        context.pictures.offer(example)
    first = Shown(examples[0].id)
    shown, own = gr.State(first), gr.State(None)
    with gr.Row(elem_classes="lb-controls lb-input", elem_id=elem_id):
        upload = gr.UploadButton("Open a picture of your own", elem_id=f"{elem_id}_file", scale=0, min_width=220)
        strip = _strip(examples, elem_id, context.pictures.kept_hours)
    # the facts of the first example are written down at once: it is the same for everybody
    facts = html.show(_facts(context.pictures.get(None, first)), elem_id=f"{elem_id}_facts")
    parts = _knobs(elem_id)
    source = ImageInput(shown, first, upload, strip, facts)
    _wire(context, source, own, parts)
    return source


def _strip(examples: Sequence[Example], elem_id: str, hours: float) -> gr.HTML:
    """The examples as pictures to press. Fires `changed` with {"id"} or {"another": True, "id"}; answer with `gr.HTML(current=…, own=…)`."""
    offers = [_offer(example) for example in examples]
    note = (
        "PNG, JPEG, TIFF, BMP, WebP, DICOM or NIfTI; you can also drop the file on this page. It stays on this server, is shown to you alone "
        f"and is deleted within {hours:.2g} hours of its last use. Do not bring pictures with a person's name burnt in."
    )
    return _drawn(
        "exampleStrip",
        {},
        examples=offers,
        current=offers[0]["id"],
        own={},
        note=note,
        upload=f"{elem_id}_file",
        elem_id=f"{elem_id}_examples",
    )


def _offer(example: Example) -> dict[str, Any]:
    key = phantom_key(example.id)
    return {"id": example.id, "label": example.label, "url": url(Shown(example.id), side_px=THUMB_PX), "phantom": key is not None}


def _knobs(elem_id: str) -> _Parts:
    """Frame and window: hidden until a picture has them."""
    frame = gr.Slider(
        1,
        2,
        value=1,
        step=1,
        label="Frame or slice",
        info="Which one of the stack is looked at.",
        visible=False,
        elem_id=f"{elem_id}_frame",
    )
    with gr.Row(visible=False, elem_classes="lb-controls", elem_id=f"{elem_id}_window") as window:
        preset = gr.Dropdown(
            [BY_HAND], value=BY_HAND, label="Window", info="Which values are shown between black and white.", elem_id=f"{elem_id}_preset"
        )
        centre = gr.Number(0, label="Centre (level)", info="Shown as middle grey.", min_width=120, elem_id=f"{elem_id}_centre")
        width = gr.Number(1, label="Width", info="From black to white.", min_width=120, elem_id=f"{elem_id}_width")
    return _Parts(frame, window, preset, centre, width)


def _wire(context: Context, source: ImageInput, own: gr.State, parts: _Parts) -> None:
    shown, outputs = source.shown, [source.shown, source.facts, source.strip, *parts.all()]

    def settle(request: gr.Request, wanted: Shown, **strip: Any) -> list[Any]:
        """All outputs for a picture that can be had; the same with a sentence where it cannot."""
        try:
            picture = context.pictures.get(request, wanted)
        except (InputRefused, PictureGone) as refused:
            return [gr.skip(), _refused(refused), *[gr.skip()] * 6]
        return [wanted, _facts(picture), gr.HTML(current=wanted.id, **strip), *_knob_values(picture)]

    def take(request: gr.Request, path: str | None) -> list[Any]:
        try:
            added = context.pictures.add(request, path or "")
        except InputRefused as refused:
            return [gr.skip(), _refused(refused), *[gr.skip()] * 7]
        return [*settle(request, added, own={"id": added.id, "url": url(added, side_px=THUMB_PX)}), added]

    def choose(request: gr.Request, asked: Any, now: Shown, mine: Shown | None) -> list[Any]:
        return settle(request, _wanted(asked, now, mine, source.first, context))

    def to_frame(request: gr.Request, number: float, now: Shown) -> list[Any]:
        return _narrow(context, request, now, lambda _: Shown(now.id, int(number) - 1, now.window))

    def to_preset(request: gr.Request, name: str, now: Shown) -> list[Any]:
        return _narrow(context, request, now, lambda picture: _preset(picture, name))

    def by_hand(request: gr.Request, centre: float | None, width: float | None, now: Shown) -> list[Any]:
        return _narrow(context, request, now, lambda picture: _by_hand(picture, centre, width))

    source.upload.upload(
        take,
        source.upload,
        [*outputs, own],
        concurrency_limit=2,
        concurrency_id="pictures",
        show_progress="minimal",
        api_visibility="private",
    )
    source.strip.changed(choose, [source.strip, shown, own], outputs, **_QUICK)
    narrow = [shown, source.facts, *parts.all()]
    parts.frame.input(to_frame, [parts.frame, shown], narrow, trigger_mode="always_last", **_QUICK)
    # A dropdown tells of each choice twice: one after the other, the second finds nothing left to change.
    parts.preset.input(to_preset, [parts.preset, shown], narrow, **_QUICK | {"concurrency_limit": 1})
    for number in (parts.centre, parts.width):
        for event in (number.submit, number.blur):
            event(by_hand, [parts.centre, parts.width, shown], narrow, **_QUICK)


def _wanted(asked: Any, now: Shown, mine: Shown | None, first: Shown, context: Context) -> Shown:
    """What a click in the strip asks for. The page may name examples and the visitor's own last picture, and nothing else."""
    asked = asked if isinstance(asked, dict) else {}
    if asked.get("another"):
        key = phantom_key(now.id) or phantom_key(str(asked.get("id", ""))) or phantom_key(first.id)
        return Shown(key.another().id) if key else now
    id = str(asked.get("id", ""))
    if mine is not None and id == mine.id:
        return mine
    return Shown(id) if context.pictures.is_example(id) else now


def _preset(picture: Picture, name: str) -> Shown:
    chosen = next(((preset.centre, preset.width) for preset in picture.windows if preset.name == name), None)
    return Shown(picture.shown.id, picture.shown.frame, chosen or picture.shown.window)


def _by_hand(picture: Picture, centre: float | None, width: float | None) -> Shown:
    """Leaving a field without a change asks for nothing, and neither does an empty field."""
    if centre is None or width is None or picture.window == (centre, width):
        return picture.shown
    return Shown(picture.shown.id, picture.shown.frame, (float(centre), float(width)))


def _narrow(context: Context, request: gr.Request, now: Shown, change: Callable[[Picture], Shown]) -> list[Any]:
    """State, facts and knobs after a change of frame or window of the same picture."""
    try:
        wanted = change(context.pictures.get(request, now))
        picture = context.pictures.get(request, wanted)
    except (InputRefused, PictureGone) as refused:
        return [gr.skip(), _refused(refused), *[gr.skip()] * 5]
    return [wanted, _facts(picture), gr.skip(), *_knob_values(picture)[1:]]


def _knob_values(picture: Picture) -> list[Any]:
    """Frame slider, window row, preset, centre and width for a picture."""
    frame = gr.Slider(maximum=max(2, picture.frames), value=picture.shown.frame + 1, visible=picture.frames > 1)
    centre, width = picture.window or (0.0, 1.0)
    named = next((preset.name for preset in picture.windows if (preset.centre, preset.width) == (centre, width)), BY_HAND)
    names = [*dict.fromkeys(preset.name for preset in picture.windows), BY_HAND]
    return [frame, gr.Row(visible=bool(picture.windows)), gr.Dropdown(choices=names, value=named), centre, width]


def _refused(why: ValueError) -> str:
    return f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(why))} The picture before is still here.</p>"


def _facts(picture: Picture) -> str:
    """One line of facts and the warnings, never a word of a header."""
    height, width = picture.full_size
    kind = "made up, no patient" if picture.phantom else _kind(picture)
    facts = [kind, f"{width:,} × {height:,} pixels"]
    if picture.frames > 1:
        facts.append(f"frame {picture.shown.frame + 1:,} of {picture.frames:,}")
    facts.append(_spacing(picture))
    line = f"<p class='lb-hint lb-facts' role='status'><b>{html.text(picture.title)}</b>: {html.text(', '.join(facts))}.</p>"
    return line + "".join(f"<p class='lb-hint'>{html.text(warning)}</p>" for warning in picture.warnings)


def _kind(picture: Picture) -> str:
    modality = _MODALITIES.get(picture.modality, "" if picture.modality in ("unknown", "") else picture.modality)
    name = NAMES.get(picture.source, picture.source)
    return f"{modality} ({name})" if modality else name


def _spacing(picture: Picture) -> str:
    if picture.spacing_mm is None:
        return "size of a pixel not known"
    row, column = picture.spacing_mm
    scale = picture.full_size[0] / picture.height
    if abs(row - column) < 1e-3 * row:
        return f"{row / scale:.3g} mm a pixel"
    return f"{row / scale:.3g} × {column / scale:.3g} mm a pixel"
