"""What every handler of this tab begins with: whose picture, which phrase, which network answers; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gradio as gr
import numpy as np

from workbench.context import Context
from workbench.parts.segments import Marks, Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.lsms.names import STRUCTURE, arm_choices
from workbench.working_scan import Scan, scan

if TYPE_CHECKING:
    from models.lsms.wrapper import Answer, Predictor, Prepared, Uncertain

EVENT = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "trigger_mode": "always_last",
}
QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
MAX_PHRASE = 200


class Late(Exception):
    """The page has gone on to another picture since the event was sent; nothing is to be shown."""


@contextmanager
def spoken() -> Iterator[None]:
    """A refusal with a sentence for people (every one is a ValueError or a missing file) becomes Gradio's error."""
    try:
        yield
    except (ValueError, FileNotFoundError) as refused:
        raise gr.Error(str(refused), print_exception=False) from None


@dataclass(frozen=True, eq=False)
class Work:
    """One phrase on one picture, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    phrase: str
    answer: Answer
    unsure: Uncertain
    threshold: float
    abstain: float

    @property
    def withheld(self) -> bool:
        """Whether the answer is kept back, as changed copies of the picture are answered too differently."""
        return self.answer.found and self.unsure.doubt > self.abstain

    @property
    def mask(self) -> np.ndarray:
        """bool (H, W): the outline; empty where nothing fits or the answer is withheld."""
        outlined = self.answer.mask(self.threshold)
        return np.zeros_like(outlined) if self.withheld else outlined

    def segments(self) -> list[Segment]:
        """The outline as the canvas takes it, named by the phrase."""
        mask = self.mask
        return [Segment(0, self.phrase[:60] or STRUCTURE, mask, origin="auto")] if mask.any() else []


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    context: Context
    shown: gr.State
    canvas: gr.HTML
    phrase: gr.Textbox
    arm: gr.Dropdown
    threshold: gr.Slider
    abstain: gr.Slider
    reference: gr.State

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.phrase, self.arm, self.threshold, self.abstain]

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. PhraseRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        shown, phrase, arm, threshold, abstain = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, arm)
        text = str(phrase or "")[:MAX_PHRASE]
        prepared = predictor.prepare(made.pixels)
        answer = predictor.ask(prepared, text)
        return Work(made, predictor, prepared, text, answer, predictor.uncertain(prepared, text), float(threshold), float(abstain))

    def marks(self, request: Any, shown: Any, marked: Any) -> tuple[Scan, Marks]:
        """The picture and what is outlined on it. Late for what belongs to an earlier picture."""
        made, marks = self.scan(request, shown), read_marks(marked)
        if marks.picture != made.id or (marks.height, marks.width) != made.size:
            raise Late
        return made, marks


def predictor_of(context: Context, arm: str) -> Predictor:
    """The network of a choice; the method's own for one that does not ship."""
    from models.lsms.wrapper import load_predictor

    return load_predictor(arm if arm in [id for _, id in arm_choices()] else "full", device=context.find_device())


_DESKS: WeakKeyDictionary[gr.Blocks, Desk] = WeakKeyDictionary()


def keep(site: gr.Blocks, desk: Desk) -> None:
    """Remember the desk of a page being built."""
    _DESKS[site] = desk


def desk_of(site: gr.Blocks) -> Desk:
    """The desk of that page; KeyError before Explore is laid out."""
    return _DESKS[site]
