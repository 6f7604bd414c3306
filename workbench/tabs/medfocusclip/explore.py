"""Explore: mark something on a scan, see what CLIP makes of it, and whether pointing changed anything.

The canvas tells of a click (`prompted`: outline it) and of every settled change (`changed`: ask CLIP again). The page opens with a phantom and one
click that is still to be outlined, so the first answer is worked out as soon as somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.medfocusclip.options import WARNING
from models.shared.method import Method
from workbench.backbones import Choice
from workbench.context import Context
from workbench.parts import html
from workbench.parts.backbone_picker import backbone_picker
from workbench.parts.charts import probability_bars
from workbench.parts.events import EVENT, Late, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.parts.look_panels import look_panels
from workbench.parts.prompt_canvas import outline, prompt_canvas, refusal, segments
from workbench.parts.segments import read as read_marks
from workbench.pictures import Shown
from workbench.tabs.medfocusclip import api, proposals, results, takealong, whatif
from workbench.tabs.medfocusclip.desk import DESKS, Desk
from workbench.tabs.medfocusclip.scan import class_names, examples, first_marks, scan, source_of, truth
from workbench.tabs.medfocusclip.settings import Controls, head_for, main_knobs, more_knobs, questions

CLASSICAL = Choice(
    "classical",
    "classical",
    "Region growing, no network",
    "Grows from a click over pixels of like brightness; a stand-in of ours, and no SAM 2.",
    "none",
)
NO_MASK = "Nothing was found there; click elsewhere, or draw a box."


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn."""

    bars: gr.HTML
    table: gr.HTML
    looks: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `answered` has values for."""
        return [self.bars, self.table, self.looks]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="medfocusclip_warning")
    source = image_input(context, elem_id="medfocusclip_input", examples=examples())
    opening = scan(context, None, source.first)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            marks = segments(first_marks(opening), replace=True)
            canvas = prompt_canvas(elem_id="medfocusclip_canvas", label="Scan", picture=opening.for_canvas(), given=marks)
            finder = proposals.layout()
            with gr.Accordion("Which networks answer", open=False, elem_id="medfocusclip_networks"):
                outliner = backbone_picker(context, "sam2", elem_id="medfocusclip_sam2", extra=(CLASSICAL,))
                clip = backbone_picker(context, "clip", elem_id="medfocusclip_clip")
        with gr.Column(scale=2, min_width=320):
            bars = probability_bars(elem_id="medfocusclip_bars")
            picture = opening.picture
            asked = questions(method, class_names(picture), head_for(method, source_of(picture)))
            knobs = Controls(*asked, *main_knobs(), *more_knobs())
            desk = Desk(context, source.shown, canvas, clip.chosen, outliner.chosen, knobs)
    table = html.show("", elem_id="medfocusclip_changes")
    gr.Markdown("#### What CLIP was shown, and where it looked", container=False)
    shows = Shows(bars, table, look_panels(elem_id="medfocusclip_look"))
    what_if, files = whatif.layout(), takealong.layout()
    _wire(desk, method, source, shows, what_if, files)
    proposals.wire(desk, finder)
    whatif.wire(desk, what_if)
    takealong.wire(desk, files)
    api.publish(context, method)
    DESKS.keep(site, desk)


def _wire(desk: Desk, method: Method, source: ImageInput, shows: Shows, what_if: whatif.WhatIf, files: takealong.TakeAlong) -> None:
    def outline_it(request: gr.Request, *values: Any) -> gr.HTML:
        return outlines(desk, request, values)

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return [*answered(desk, request, values), *whatif.emptied(), *takealong.emptied()]

    def open_picture(request: gr.Request, shown: Shown) -> list[Any]:
        return opened(desk.context, method, request, shown)

    desk.canvas.prompted(outline_it, desk.inputs, desk.canvas, **EVENT)
    for event in (desk.canvas.changed, *desk.knobs.turned(), desk.clip.change):
        event(ask, desk.inputs, [*shows.outputs, *what_if.outputs, *files.outputs], **EVENT)
    quick = EVENT | {"concurrency_id": "pictures", "concurrency_limit": 2}
    source.shown.change(open_picture, source.shown, [desk.canvas, desk.knobs.head, desk.knobs.classes], **quick)


def outlines(desk: Desk, request: Any, values: Any) -> Any:
    """The canvas's answer to a click or box: candidates, or a sentence beside the picture."""
    marks = None
    try:
        marks = read_marks(values[1])
        work = desk.work(request, values)
        active = work.marks.segment(work.marks.active)
        if active is None:
            return gr.skip()
        found = work.rooms.segment(work.prepared, active.points, [active.box] if active.box else [])
    except Late:
        return gr.skip()
    except (ValueError, FileNotFoundError) as refused:
        return gr.skip() if marks is None else gr.HTML(answer=refusal(marks, str(refused)))
    kept = [one for one in found.candidates if one.area]
    if not kept:
        return gr.HTML(answer=refusal(work.marks, NO_MASK))
    steady = [one.stability if one.source == "classical" else None for one in kept]
    return gr.HTML(answer=outline(work.marks, [one.mask for one in kept], [one.score for one in kept], stability=steady))


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values of `Shows.outputs`."""
    with spoken():
        try:
            work = desk.work(request, values)
            answer = work.answer()
        except Late:
            return [gr.skip()] * 3
        known = truth(work.scan.picture, answer.classes)
        return [
            gr.HTML(data=results.bars(answer, truth=known, seq=work.marks.asked)),
            results.changes(answer),
            gr.HTML(data=results.panels(answer, work.rooms)),
        ]


def opened(context: Context, method: Method, request: Any, shown: Shown) -> list[Any]:
    """Canvas, head and class names for another picture. The canvas then tells of it itself, and the answers follow."""
    with spoken():
        made = scan(context, request, shown)
    marks = segments(first_marks(made), replace=True)
    names = ", ".join(class_names(made.picture))
    return [gr.HTML(picture=made.for_canvas(), given=marks), head_for(method, source_of(made.picture)), names]
