"""What every handler of this tab begins with: whose picture, which request, which network, how its neurons are set; and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.neural_tuning.plan import OWN
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.neural_tuning.names import TRAINED, arms, read_neuron
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.neural_tuning.neurons import Firing
    from models.neural_tuning.wrapper import Answer, Predictor, Prepared

MAX_TEXT = 300


@dataclass(frozen=True)
class Settings:
    """What is set beside picture and request."""

    network: str = OWN
    rho: float | None = None
    """None: as trained."""
    alpha: float | None = None
    dense: bool = False
    silenced: tuple[tuple[int, int], ...] = ()
    """(place among the layers with neurons, neuron)."""
    threshold: float = 0.5

    @property
    def dials(self) -> dict[str, Any]:
        """As a raster takes them."""
        return {"rho": self.rho, "alpha": self.alpha, "dense": self.dense}


@dataclass(frozen=True, eq=False)
class Work:
    """One request about one picture, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    request: str
    settings: Settings
    answer: Answer

    @property
    def fires(self) -> np.ndarray | None:
        """(L, D): share of all tokens of picture, request and answer on which each neuron fires; None without neurons."""
        return None if self.answer.neurons is None else (self.answer.neurons.a > 0).mean(0)

    @property
    def masks(self) -> np.ndarray:
        """bool (R, H, W): the outlines, one an object token."""
        return self.answer.outlines > self.settings.threshold

    def segments(self) -> list[Segment]:
        """The outlines as the canvas takes them, named by their tokens."""
        named = {number: self.answer.strip[place] for place, number in self.answer.marks.items()}
        return [
            Segment(number, f"outline {number + 1} {named[number]}", mask, origin="auto")
            for number, mask in enumerate(self.masks)
            if mask.any()
        ]

    def raster(self) -> Firing:
        """Every task's neurons, counted on test phantoms with their true answers, at the same dials; nobody is silenced."""
        return self.predictor.raster(**self.settings.dials)


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components of the Explore drawer that other parts of the tab read."""

    request: gr.Textbox
    network: gr.Dropdown
    rho: gr.Slider
    alpha: gr.Slider
    dense: gr.Checkbox
    silenced: gr.Dropdown
    threshold: gr.Slider

    @property
    def dials(self) -> list[Any]:
        """What decides an answer beside picture and request."""
        return [self.network, self.rho, self.alpha, self.dense, self.silenced]

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.request, *self.dials, self.threshold]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer. PictureRefused, RequestRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        return self.ask(request, values[0], str(values[1] or ""), settings_of(values))

    def ask(self, request: Any, shown: Shown, words: str, settings: Settings) -> Work:
        """The answer to a request about a picture. ValueErrors as in `work`."""
        made, words = self.scan(request, shown), words[:MAX_TEXT]
        predictor = self.predictor(settings.network)
        prepared = predictor.prepare(made.pixels)
        silenced = settings.silenced if predictor.net.layers else ()
        return Work(made, predictor, prepared, words, settings, predictor.answer(prepared, words, **settings.dials, silenced=silenced))

    def predictor(self, network: str) -> Predictor:
        """The network of a choice, or the method's own where that one does not ship."""
        return load(network if network in arms() else OWN, self.context.find_device())


def load(arm: str, device: str) -> Predictor:
    """A shipped network. CheckpointRefused or RequestRefused with a sentence."""
    from models.neural_tuning.wrapper import load_predictor

    return load_predictor(arm, device=device)


def settings_of(values: Sequence[Any]) -> Settings:
    """From values as `Desk.inputs`. A dial where it stood in training leaves a network as it was trained, whose own value may be another."""
    network, rho, alpha, dense, silenced, threshold = values[2:]
    chosen = {found for one in silenced or () if (found := read_neuron(one)) is not None}
    return Settings(
        str(network), _turned(rho, TRAINED.rho), _turned(alpha, TRAINED.alpha), bool(dense), tuple(sorted(chosen)), float(threshold)
    )


def plain(settings: Settings, network: str) -> Settings:
    """Another network as it was trained: for comparisons."""
    return replace(settings, network=network, rho=None, alpha=None, dense=False, silenced=())


def _turned(value: Any, trained: float) -> float | None:
    return None if abs(float(value) - trained) < 1e-9 else float(value)


DESKS = PerPage[Desk]()
