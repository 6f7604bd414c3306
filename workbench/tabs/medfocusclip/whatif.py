"""What if: each segment left out in turn, and the same segments in other random colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.parts import html
from workbench.parts.charts import box_plot
from workbench.parts.events import EVENT, Late, spoken
from workbench.tabs.medfocusclip import results
from workbench.tabs.medfocusclip.desk import Desk
from workbench.tabs.medfocusclip.names import MODE_CHOICES

NO_SEGMENTS = "Count at least one segment in first: there is nothing to leave out or to paint."
OLD = "Something has changed since; press the button again."


@dataclass(frozen=True)
class WhatIf:
    """The components; both results are taken away when the question changes."""

    mode: gr.Dropdown
    removal: gr.Button
    removals: gr.HTML
    colours: gr.Button
    boxes: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `emptied` has values for."""
        return [self.removals, self.boxes]


def layout() -> WhatIf:
    """Two folded parts, each with its button."""
    with gr.Accordion("What if a segment were not there?", open=False, elem_id="medfocusclip_removal_panel"):
        with gr.Row(elem_classes="lb-controls"):
            choices = [(label, mode) for label, mode in MODE_CHOICES if mode != "plain"]
            mode = gr.Dropdown(choices, value="painted", label="Shown to CLIP as", elem_id="medfocusclip_removal_mode", scale=2)
            removal = gr.Button("Leave each segment out in turn", elem_id="medfocusclip_removal")
        removals = html.show("", elem_id="medfocusclip_removals")
    with gr.Accordion("Do the colours matter? (they should not)", open=False, elem_id="medfocusclip_palettes_panel"):
        with gr.Row(elem_classes="lb-controls"):
            colours = gr.Button("Try 20 random palettes", elem_id="medfocusclip_palettes")
        boxes = box_plot(elem_id="medfocusclip_boxes")
    return WhatIf(mode, removal, removals, colours, boxes)


def wire(desk: Desk, parts: WhatIf) -> None:
    """Connect the buttons."""

    def leave_out(request: gr.Request, mode: str, *values: Any) -> Any:
        return left_out(desk, request, mode, values)

    def repaint(request: gr.Request, *values: Any) -> Any:
        return repainted(desk, request, values)

    parts.removal.click(leave_out, [parts.mode, *desk.inputs], parts.removals, **EVENT | {"show_progress": "minimal"})
    parts.colours.click(repaint, desk.inputs, parts.boxes, **EVENT | {"show_progress": "minimal"})


def emptied() -> list[Any]:
    """Values of `WhatIf.outputs` once they no longer belong to what is shown."""
    return ["", gr.HTML(data={"rows": [], "empty": OLD})]


def left_out(desk: Desk, request: Any, mode: str, values: Any) -> Any:
    """Markup of the ranked removals."""
    with spoken():
        try:
            work = desk.work(request, values)
        except Late:
            return gr.skip()
        if not work.chosen:
            raise ValueError(NO_SEGMENTS)
        options = work.options()
        found = work.rooms.counterfactual(work.prepared, work.segments, options, mode)
        classes = work.rooms.classify(work.prepared, work.segments, options).classes
        return results.removals(found, [one.name for one in work.chosen], classes)


def repainted(desk: Desk, request: Any, values: Any) -> Any:
    """The box plot over palettes."""
    with spoken():
        try:
            work = desk.work(request, values)
        except Late:
            return gr.skip()
        if not work.chosen:
            raise ValueError(NO_SEGMENTS)
        return gr.HTML(data=results.palette_boxes(work.rooms.palettes(work.prepared, work.segments, work.options())))
