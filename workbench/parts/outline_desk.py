"""What every room that outlines a scan shares: whose picture, what is outlined on it at the moment, and its measures.

The canvas tells of every settled change (`changed`), also of an answer laid on it; measures follow from what is outlined at that moment, so that a
correction by hand counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench.context import Context
from workbench.parts.events import EVENT, Late, spoken
from workbench.parts.outline_files import OutlineFiles, emptied
from workbench.parts.outline_measures import ReferenceInput, read_reference, reference_of, table
from workbench.parts.segments import Marks
from workbench.parts.segments import read as read_marks
from workbench.pictures import Shown
from workbench.working_scan import Scan, scan


@dataclass(frozen=True, eq=False)
class OutlineDesk:
    """The components that every outlining drawer has; a room's own desk adds what decides its network's answer."""

    context: Context
    shown: gr.State
    canvas: gr.HTML
    reference: gr.State

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values; the picture comes first."""
        raise NotImplementedError

    def work(self, request: Any, values: Sequence[Any]) -> Any:
        """The answer to what is set. ValueErrors with a sentence."""
        raise NotImplementedError

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def marks(self, request: Any, shown: Any, marked: Any) -> tuple[Scan, Marks]:
        """The picture and what is outlined on it. Late for what belongs to an earlier picture."""
        made, marks = self.scan(request, shown), read_marks(marked)
        if marks.picture != made.id or (marks.height, marks.width) != made.size:
            raise Late
        return made, marks

    def marked(self, request: Any, values: Sequence[Any]) -> tuple[Any, Marks] | None:
        """(the room's work, what is outlined) for files; values: canvas, then `inputs`. None for what belongs to an earlier picture."""
        marked, *settings = values
        with spoken():
            try:
                return self.work(request, settings), self.marks(request, settings[0], marked)[1]
            except Late:
                return None


@dataclass(frozen=True, eq=False)
class Measures:
    """The table under the canvas: what is outlined in numbers, and how well it fits a reference."""

    truth: Callable[..., tuple[np.ndarray | None, str]]
    """What is known of a picture: (scan, the values of `also`) to (true outline bool (H, W) or None, where it is from)."""
    names: Mapping[str, str] | None = None
    """Plain words for structures."""

    def now(self, desk: OutlineDesk, request: Any, values: Sequence[Any]) -> Any:
        """Markup of what is outlined now; values: shown, canvas, reference, then those of `also`."""
        shown, marked, kept, *also = values
        with spoken():
            try:
                made, marks = desk.marks(request, shown, marked)
            except Late:
                return gr.skip()
            return table(made, marks.chosen, *reference_of(made, kept, lambda one: self.truth(one, *also)), self.names)

    def wire(self, desk: OutlineDesk, brought: ReferenceInput, shown_table: gr.HTML, files: OutlineFiles, also: Sequence[Any] = ()) -> None:
        """Measure at every settled change of the canvas, and when a reference is brought or forgotten. also: further components that `truth` depends on."""

        def remeasure(request: gr.Request, *values: Any) -> list[Any]:
            return [self.now(desk, request, values), *emptied()]

        def bring(request: gr.Request, path: str, shown: Shown, marked: Any, *values: Any) -> list[Any]:
            with spoken():
                kept = read_reference(path, desk.scan(request, shown))
            return [kept, gr.Button(visible=True), self.now(desk, request, (shown, marked, kept, *values))]

        def drop(request: gr.Request, shown: Shown, marked: Any, *values: Any) -> list[Any]:
            return [None, gr.Button(visible=False), self.now(desk, request, (shown, marked, None, *values))]

        outputs = [brought.state, brought.forget, shown_table]
        desk.canvas.changed(remeasure, [desk.shown, desk.canvas, desk.reference, *also], [shown_table, *files.outputs], **EVENT)
        brought.upload.upload(bring, [brought.upload, desk.shown, desk.canvas, *also], outputs, **EVENT)
        brought.forget.click(drop, [desk.shown, desk.canvas, *also], outputs, **EVENT)
