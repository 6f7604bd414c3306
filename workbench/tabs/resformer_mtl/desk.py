"""What every handler of this tab begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.context import Context
from workbench.own_networks import OwnNetworks
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import Segment
from workbench.tabs.resformer_mtl.names import SHORT, arm_choices
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.resformer_mtl.results import Prepared, Result
    from models.resformer_mtl.wrapper import Predictor

OWN_NETWORKS = OwnNetworks("models.resformer_mtl.own:train_own", "resformer.safetensors")


@dataclass(frozen=True, eq=False)
class Work:
    """One question, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    result: Result

    def segments(self) -> list[Segment]:
        """The outlined structures as the canvas takes them."""
        names = self.predictor.structures
        masks = [self.result.mask == number for number in range(1, len(names) + 1)]
        return [Segment(0, name, mask, origin="auto") for name, mask in zip(names, masks, strict=True) if mask.any()]


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components of the Explore drawer that other parts of the tab read."""

    network: gr.Dropdown
    arm: gr.Dropdown
    threshold: gr.Slider
    smallest: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.network, self.arm, self.threshold, self.smallest]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        from models.resformer_mtl.results import Options

        shown, network, arm, threshold, smallest = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, request, network, arm)
        prepared = predictor.prepare(made.pixels, made.spacing_mm)
        return Work(made, predictor, prepared, predictor.run(prepared, Options(threshold=threshold, at_least_px=int(smallest))))


def predictor_of(context: Context, request: Any, network: str, arm: str) -> Predictor:
    """The network of a choice: a shipped task, or "job:<id>" for the visitor's own training. ValueErrors with a sentence."""
    from models.resformer_mtl.wrapper import load_predictor

    device = context.find_device()
    path = OWN_NETWORKS.path(context, request, network)
    if path is None:
        return load_predictor(network, arm if arm in [id for _, id in arm_choices(network)] else "full", device=device)
    from models.shared.checkpoints import read_card

    known = list(read_card(path).extra["tasks"]["own"]["arms"])
    return load_predictor("own", arm if arm in known else known[0], path=path, device=device)


def arms_of(context: Context, request: Any, network: str) -> list[tuple[str, str]]:
    """(label, id) of the networks of a choice."""
    path = OWN_NETWORKS.path(context, request, network)
    if path is None:
        return arm_choices(network)
    from models.shared.checkpoints import read_card

    return [(SHORT[arm], arm) for arm in read_card(path).extra["tasks"]["own"]["arms"]]


DESKS = PerPage[Desk]()
