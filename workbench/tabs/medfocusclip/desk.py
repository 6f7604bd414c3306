"""What every handler of this tab begins with: whose picture, what is marked on it, which networks answer, what is set.

`Desk` names the components; `Desk.work(request, values)` turns their values into a `Work`, where the encoder has run for a picture not seen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.context import Context
from workbench.parts.events import Late, PerPage
from workbench.parts.segments import Marks, Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.medfocusclip.engine import belongs, outlined, room
from workbench.tabs.medfocusclip.own import who
from workbench.tabs.medfocusclip.scan import Scan, scan
from workbench.tabs.medfocusclip.settings import Asked, Controls
from workbench.tabs.medfocusclip.settings import read as read_settings

if TYPE_CHECKING:
    from models.medfocusclip.answers import Answer, Prepared
    from models.medfocusclip.options import Options
    from models.medfocusclip.segments import Segment as Outlined
    from models.medfocusclip.wrapper import MedFocus


@dataclass(frozen=True, eq=False)
class Work:
    """One question with everything that is needed to answer it."""

    scan: Scan
    marks: Marks
    rooms: MedFocus
    prepared: Prepared
    asked: Asked

    @property
    def chosen(self) -> tuple[Segment, ...]:
        """The segments that are counted in, as the page names them."""
        return self.marks.chosen

    @property
    def segments(self) -> list[Outlined]:
        """The same as the room takes them."""
        return outlined(self.chosen)

    def options(self, **more: Any) -> Options:
        """The settings. OptionRefused with a sentence."""
        return self.asked.options(self.rooms, **more)

    def answer(self, **more: Any) -> Answer:
        """CLIP's answers. OptionRefused or ClipRefused with a sentence."""
        return self.rooms.classify(self.prepared, self.segments, self.options(**more))


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    context: Context
    shown: gr.State
    canvas: gr.HTML
    clip: Any
    segmenter: Any
    knobs: Controls

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.canvas, self.clip, self.segmenter, *self.knobs.inputs]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The question behind the values of `inputs`. Late for an event of an earlier picture; ValueErrors with a sentence for what cannot be used."""
        shown, marked, clip, segmenter, *settings = values
        made, marks = scan(self.context, request, shown), read_marks(marked)
        if not belongs(marks, made):
            raise Late
        asked = read_settings(settings)
        head, weights = who(self.context, request, asked.values["head"])
        rooms = room(self.context, clip, segmenter)
        return Work(made, marks, rooms, rooms.prepare(made.pixels), Asked(asked.values | {"head": head}, weights))


DESKS = PerPage[Desk]()
