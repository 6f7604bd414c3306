"""What every handler of this tab begins with: whose picture, which network answers, which thresholds; and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.hsvlt.findings import FINDINGS
from workbench.context import Context
from workbench.parts.events import PerPage
from workbench.tabs.hsvlt.names import SCALES, arm_choices
from workbench.working_scan import Scan, scan

if TYPE_CHECKING:
    from models.hsvlt.wrapper import Answer, Predictor, Prepared


@dataclass(frozen=True, eq=False)
class Work:
    """One picture read by one network."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    answer: Answer
    thresholds: Mapping[str, float]
    """Finding → probability from which it is reported."""
    silent: tuple[int, ...] = ()
    """Scales left out by hand."""
    moved: float | None = None
    """Where only some findings are asked for: by how much any probability differs from asking for all of them."""

    @property
    def reported(self) -> tuple[str, ...]:
        """The findings at or above their thresholds."""
        return tuple(name for name, p in zip(self.answer.names, self.answer.probability, strict=True) if p >= self.thresholds[name])


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    context: Context
    shown: gr.State
    arm: gr.Dropdown
    threshold: gr.Slider
    own_thresholds: gr.State
    """Finding → threshold, for those that have one of their own."""
    asked: gr.CheckboxGroup
    scales: gr.CheckboxGroup
    finding: gr.Dropdown

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.arm, self.threshold, self.own_thresholds, self.asked, self.scales]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. PictureRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        shown, arm, threshold, own, asked, scales = values
        made, predictor = scan(self.context, request, shown), predictor_of(self.context, arm)
        prepared = predictor.prepare(made.pixels)
        names = [name for name in FINDINGS if name in (asked or ())]
        silent = tuple(scale for scale in SCALES if scale not in (scales or ()))
        answer, moved = predictor.answer(prepared, names, silent), None
        if len(names) < len(FINDINGS):
            whole = predictor.answer(prepared, None, silent)
            moved = max(
                abs(float(p) - float(whole.probability[FINDINGS.index(name)])) for name, p in zip(names, answer.probability, strict=True)
            )
        return Work(made, predictor, prepared, answer, thresholds_of(own, threshold), silent, moved)


def thresholds_of(own: Mapping[str, float] | None, threshold: float) -> dict[str, float]:
    """Finding → probability from which it is reported: its own, or the one for all."""
    return {name: float((own or {}).get(name, threshold)) for name in FINDINGS}


def predictor_of(context: Context, arm: str) -> Predictor:
    """The network of a choice; the method's own for one that does not ship."""
    from models.hsvlt.wrapper import load_predictor

    return load_predictor(arm if arm in [id for _, id in arm_choices()] else "full", device=context.find_device())


DESKS = PerPage[Desk]()
