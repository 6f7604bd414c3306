"""What every handler of this tab begins with: whose picture, which phrase, which network answers; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from workbench.context import Context
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import MAX_NAME, Segment
from workbench.tabs.lsms.names import STRUCTURE, arm_choices
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.lsms.wrapper import Answer, Predictor, Prepared, Uncertain

MAX_PHRASE = 200


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
        return [Segment(0, self.phrase[:MAX_NAME] or STRUCTURE, mask, origin="auto")] if mask.any() else []


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components of the Explore drawer that other parts of the tab read."""

    phrase: gr.Textbox
    arm: gr.Dropdown
    threshold: gr.Slider
    abstain: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.phrase, self.arm, self.threshold, self.abstain]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. PhraseRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        shown, phrase, arm, threshold, abstain = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, arm)
        text = str(phrase or "")[:MAX_PHRASE]
        prepared = predictor.prepare(made.pixels)
        answer = predictor.ask(prepared, text)
        return Work(made, predictor, prepared, text, answer, predictor.uncertain(prepared, text), float(threshold), float(abstain))


def predictor_of(context: Context, arm: str) -> Predictor:
    """The network of a choice; the method's own for one that does not ship."""
    from models.lsms.wrapper import load_predictor

    return load_predictor(arm if arm in [id for _, id in arm_choices()] else "full", device=context.find_device())


DESKS = PerPage[Desk]()
