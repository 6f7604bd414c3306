"""What every handler of this tab begins with: whose picture, which note and phrase, which network, how it is set; and the two answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.mit.plan import OWN
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import MAX_NAME, Segment
from workbench.pictures import Shown
from workbench.tabs.mit.names import LAYERS, NOTES, OUTLINE, PARTS, STRUCTURE, TERMS, arms
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.mit.wrapper import Parts, Predictor, Prepared, Reading

MAX_TEXT = 300


@dataclass(frozen=True)
class Settings:
    """What is set beside picture and text."""

    network: str
    strength: float
    parts: Parts
    told: Shown | None
    """The picture that the language model is told of, where it is another one."""
    threshold: float


@dataclass(frozen=True, eq=False)
class Work:
    """One text beside one picture, answered."""

    task: str
    scan: Scan
    other: Scan | None
    """The picture told of, where it is another one."""
    predictor: Predictor
    prepared: Prepared
    text: str
    settings: Settings
    reading: Reading
    """As set: told of the other picture where there is one."""
    own: Reading
    """Told of the picture itself; the same where there is no other."""

    @property
    def swapped(self) -> bool:
        """Whether the language model is told of another picture."""
        return self.other is not None

    @property
    def instead(self) -> bool:
        """Whether MiT's own weights answer, as the chosen network was not trained for this task."""
        return self.predictor.arm != self.settings.network

    @property
    def mask(self) -> np.ndarray:
        """bool (H, W): the outline."""
        return self.outlined(self.reading)

    def outlined(self, reading: Reading) -> np.ndarray:
        """bool (H, W): the outline of another reading at the same threshold."""
        return reading.probability > self.settings.threshold

    def segments(self) -> list[Segment]:
        """The outline as the canvas takes it, named by the phrase."""
        mask = self.mask
        return [Segment(0, self.text[:MAX_NAME] or STRUCTURE, mask, origin="auto")] if mask.any() else []

    def again(self, **changes: Any) -> Reading:
        """The same text and picture with another strength, or told of another picture."""
        return _read(
            self.predictor, self.task, self.prepared, self.text, {"strength": self.settings.strength} | changes, self.settings.parts
        )


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components of the Explore drawer that other parts of the tab read."""

    note: gr.Textbox
    phrase: gr.Textbox
    network: gr.Dropdown
    strength: gr.Slider
    parts: gr.CheckboxGroup
    terms: gr.CheckboxGroup
    layers: gr.CheckboxGroup
    threshold: gr.Slider
    told: gr.State

    @property
    def common(self) -> list[Any]:
        """What decides both answers, and the threshold."""
        return [self.network, self.strength, self.parts, self.terms, self.layers, self.told, self.threshold]

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` and `judged` take their values."""
        return [self.shown, self.note, self.phrase, *self.common]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The outline of the phrase. PictureRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        return self.answer(request, OUTLINE, values[0], str(values[2] or ""), settings_of(values))

    def judged(self, request: Any, values: Sequence[Any]) -> Work:
        """The verdict on the note. ValueErrors as in `work`."""
        return self.answer(request, NOTES, values[0], str(values[1] or ""), settings_of(values))

    def answer(self, request: Any, task: str, shown: Shown, text: str, settings: Settings) -> Work:
        """A text beside a picture, for one task. ValueErrors as in `work`."""
        made, text = self.scan(request, shown), text[:MAX_TEXT]
        predictor = self.predictor(task, settings.network)
        prepared = predictor.prepare(made.pixels)
        how = {"strength": settings.strength}
        own = _read(predictor, task, prepared, text, how, settings.parts)
        other = None if settings.told is None or settings.told == shown else self.scan(request, settings.told)
        reading = own
        if other is not None:
            reading = _read(predictor, task, prepared, text, how | {"told": predictor.prepare(other.pixels)}, settings.parts)
        return Work(task, made, other, predictor, prepared, text, settings, reading, own)

    def predictor(self, task: str, network: str) -> Predictor:
        """The network of a choice, or MiT's own where that one does not answer the task."""
        return load(network if network in arms(task) else OWN, self.context.find_device())


def load(arm: str, device: str) -> Predictor:
    """A shipped network. CheckpointRefused or PictureRefused with a sentence."""
    from models.mit.wrapper import load_predictor

    return load_predictor(arm, device=device)


def settings_of(values: Sequence[Any]) -> Settings:
    """From values as `Desk.inputs`."""
    network, strength, parts, terms, layers, told, threshold = values[3:]
    return Settings(str(network), float(strength), parts_of(parts, terms, layers), told, float(threshold))


def parts_of(parts: Sequence[str] | None, terms: Sequence[str] | None, layers: Sequence[int] | None) -> Parts:
    """From what is ticked."""
    from models.mit.wrapper import Parts

    ticked = {*(parts or ()), *(terms or ())}
    kept = {name: name in ticked for _, name in (*PARTS, *TERMS)}
    numbers = tuple(sorted({int(one) for one in layers or ()} & set(LAYERS)))
    return Parts(**kept, layers=None if numbers == LAYERS else numbers)


def plain(settings: Settings, network: str) -> Settings:
    """Another network, whole, told of the picture itself, with the dial at 1: for comparisons."""
    from models.mit.wrapper import WHOLE

    return replace(settings, network=network, strength=1.0, parts=WHOLE, told=None)


def _read(predictor: Predictor, task: str, prepared: Prepared, text: str, how: dict[str, Any], parts: Parts) -> Reading:
    return (predictor.judge if task == NOTES else predictor.outline)(prepared, text, **how, parts=parts)


DESKS = PerPage[Desk]()
