"""What every handler of this tab begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.semsim.plan import OWN
from workbench.context import Context
from workbench.own_networks import OwnNetworks
from workbench.parts.events import PerPage
from workbench.parts.outline_desk import OutlineDesk
from workbench.parts.segments import Segment
from workbench.tabs.semsim.names import SHIPPED, SHORT, plain
from workbench.working_scan import Scan

if TYPE_CHECKING:
    from models.semsim.results import Options, Prepared, Result
    from models.semsim.wrapper import Predictor

OWN_NETWORKS = OwnNetworks("models.semsim.own:train_own", "semsim.safetensors")


@dataclass(frozen=True, eq=False)
class Work:
    """One question, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    options: Options
    result: Result

    @property
    def names(self) -> list[str]:
        """The structures in plain words, in the order of their numbers."""
        return [plain(name) for name in self.predictor.structures]

    def segments(self) -> list[Segment]:
        """The outlined structures as the canvas takes them."""
        masks = [self.result.mask == number for number in range(1, len(self.names) + 1)]
        return [Segment(0, name, mask, origin="auto") for name, mask in zip(self.names, masks, strict=True) if mask.any()]


@dataclass(frozen=True, eq=False)
class Desk(OutlineDesk):
    """The components of the Explore drawer that other parts of the tab read."""

    network: gr.Dropdown
    arm: gr.Dropdown
    labelled: gr.Slider
    settings: tuple[Any, ...]
    """tau, both temperatures, cells a side, sharpness, what is spread: in the order of `options_of`."""

    @property
    def asked(self) -> list[Any]:
        """What decides the outline."""
        return [self.shown, self.network, self.arm, self.labelled]

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [*self.asked, *self.settings]

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        shown, network, arm, labelled, *settings = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, request, network, arm, labelled)
        options = options_of(settings, predictor)
        prepared = predictor.prepare(made.pixels)
        return Work(made, predictor, prepared, options, predictor.run(prepared, options))


def options_of(settings: Sequence[Any], predictor: Predictor) -> Options:
    """The sliders' values as the method takes them; a grid that this network's features cannot be cut into gives way to the next one that can."""
    from models.semsim.results import Options

    if not settings:
        return Options(cells=_grid(4, predictor.grids))
    tau, t_aff, t_cr, cells, sharpness, mode = settings
    return Options(
        tau=float(tau),
        t_aff=float(t_aff),
        t_cr=float(t_cr),
        cells=_grid(int(cells), predictor.grids),
        sharpness=float(sharpness),
        mode=mode,
    )


def _grid(wanted: int, grids: Sequence[int]) -> int:
    return min(grids, key=lambda one: (abs(one - wanted), one))


def facts_of(context: Context, request: Any, network: str) -> Mapping[str, Any]:
    """What the card says of a choice: levels of labels with their arms. CheckpointRefused or ValueError with a sentence."""
    from models.semsim.record import METHOD
    from models.shared.checkpoints import read_card

    own = OWN_NETWORKS.path(context, request, network)
    return read_card(own or METHOD.checkpoint).extra["tasks"]["own" if own else network]


def levels(facts: Mapping[str, Any]) -> list[int]:
    """Numbers of labelled pictures, rising."""
    return sorted(level["labelled"] for level in facts["levels"].values())


def nearest(wanted: Any, known: Sequence[int]) -> int:
    """The number of labelled pictures that was trained with, nearest to where the slider stands."""
    return min(known, key=lambda count: (abs(count - float(wanted or 0)), count))


def arms_of(facts: Mapping[str, Any], labelled: int) -> list[tuple[str, str]]:
    """(label, id) of the networks trained with so many labelled pictures."""
    at = next(level for level in facts["levels"].values() if level["labelled"] == labelled)
    return [(SHORT.get(arm, arm), arm) for arm in sorted(at["arms"], key=list(SHORT).index)]


def predictor_of(context: Context, request: Any, network: str, arm: str, labelled: Any) -> Predictor:
    """The network of a choice: the shipped ones, or "job:<id>" for the visitor's own training. ValueErrors with a sentence.

    Where an arm was not trained with so many labels, the method itself answers, or the first that was.
    """
    from models.semsim.wrapper import load_predictor

    facts = facts_of(context, request, network)
    count = nearest(labelled, levels(facts))
    known = [id for _, id in arms_of(facts, count)]
    arm = arm if arm in known else OWN if OWN in known else known[0]
    path = OWN_NETWORKS.path(context, request, network)
    if path is not None:
        return load_predictor("own", arm, count, path=path, device=context.find_device())
    return load_predictor(network, arm, count, device=context.find_device())


def shipped_facts() -> Mapping[str, Any]:
    """What ships, for the page's first look; an empty set of levels when there is no card that can be trusted."""
    from models.semsim.record import METHOD
    from models.shared.checkpoints import CheckpointRefused, read_card

    try:
        return read_card(METHOD.checkpoint).extra["tasks"][SHIPPED]
    except (FileNotFoundError, CheckpointRefused, KeyError):
        return {"levels": {"l1": {"labelled": 1, "of": 1, "arms": {OWN: {}}}}}


DESKS = PerPage[Desk]()
