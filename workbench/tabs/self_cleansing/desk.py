"""What every handler of the outlining half begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.own_networks import OwnNetworks
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import Segment
from workbench.tabs.self_cleansing.names import Choices, arm_choices, card_of, default_setting, network_choices, setting_choices, tasks_of
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.self_cleansing.results import Prepared, Result
    from models.self_cleansing.wrapper import Predictor

OWN_NETWORKS = OwnNetworks("models.self_cleansing.own:train_own", "self_cleansing.safetensors")


@dataclass(frozen=True, eq=False)
class Work:
    """One question, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    result: Result
    task: str
    setting: str
    arm: str

    def segments(self) -> list[Segment]:
        """The outlined structures as the canvas takes them."""
        names = self.predictor.structures
        masks = [self.result.mask == number for number in range(1, len(names) + 1)]
        return [Segment(0, name, mask, origin="auto") for name, mask in zip(names, masks, strict=True) if mask.any()]


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components that other parts of the tab read."""

    method: Method
    network: gr.Dropdown
    setting: gr.Dropdown
    arm: gr.Dropdown
    model: gr.Radio
    smallest: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.network, self.setting, self.arm, self.model, self.smallest]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        from models.self_cleansing.results import Options

        shown, network, setting, arm, model, smallest = values
        made = self.scan(request, shown)
        predictor = predictor_of(self.context, request, network, setting, arm, model)
        prepared = predictor.prepare(made.pixels)
        result = predictor.run(prepared, Options(at_least_px=int(smallest)))
        return Work(made, predictor, prepared, result, "own" if network.startswith("job:") else network, setting, arm)

    def facts(self, request: Any, network: str) -> dict[str, Any]:
        """What the card says of a choice's task. ValueError for a training that is gone."""
        path = OWN_NETWORKS.path(self.context, request, network)
        if path is None:
            return tasks_of(card_of(self.method)).get(network, {})
        from models.shared.checkpoints import read_card

        return read_card(path).extra["tasks"]["own"]


def predictor_of(context: Context, request: Any, network: str, setting: str, arm: str, model: str) -> Predictor:
    """The network of a choice: a shipped one, or "job:<id>" for the visitor's own training. ValueErrors with a sentence.

    Where a training has no such weights (no teacher, no best epoch kept), the last epoch answers.
    """
    from models.self_cleansing.results import OptionRefused
    from models.self_cleansing.wrapper import load_predictor

    path = OWN_NETWORKS.path(context, request, network)
    place = ("own", "own", "cleansed") if path else (network, setting, arm)
    device = context.find_device()
    try:
        return load_predictor(*place, model, path=path, device=device)
    except OptionRefused:
        return load_predictor(*place, "last", path=path, device=device)


def choices(context: Context, method: Method, request: Any) -> Choices:
    """(label, value) of the shipped tasks and of the visitor's finished trainings, newest first."""
    return [*network_choices(card_of(method)), *OWN_NETWORKS.choices(context, request)]


def dropdowns(facts: dict[str, Any]) -> list[gr.Dropdown]:
    """Setting and arm for another task."""
    setting = default_setting(facts) or next(iter(facts.get("arms", {})), "")
    arms = arm_choices(facts, setting)
    return [gr.Dropdown(choices=setting_choices(facts), value=setting), gr.Dropdown(choices=arms, value=arms[0][1] if arms else None)]


DESKS = PerPage[Desk]()
