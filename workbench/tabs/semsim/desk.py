"""What every handler of this tab begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gradio as gr

from models.semsim.plan import OWN
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts.segments import Marks, Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.semsim.names import SHIPPED, SHORT
from workbench.visitors import visitor_of
from workbench.working_scan import Scan, scan
from workbench.zip_pictures import WORK

if TYPE_CHECKING:
    from models.semsim.results import Options, Prepared, Result
    from models.semsim.wrapper import Predictor

RECIPE = "models.semsim.own:train_own"
WEIGHTS = "semsim.safetensors"
GONE = "This training is not kept on the server any more; choose another network to answer, or train again."
EVENT = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "trigger_mode": "always_last",
}
QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


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
    """One question, answered."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    options: Options
    result: Result

    def segments(self) -> list[Segment]:
        """The outlined structures as the canvas takes them."""
        names = self.predictor.structures
        masks = [self.result.mask == number for number in range(1, len(names) + 1)]
        return [Segment(0, name, mask, origin="auto") for name, mask in zip(names, masks, strict=True) if mask.any()]


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    context: Context
    shown: gr.State
    canvas: gr.HTML
    network: gr.Dropdown
    arm: gr.Dropdown
    labelled: gr.Slider
    settings: tuple[Any, ...]
    """tau, both temperatures, cells a side, sharpness, what is spread: in the order of `options_of`."""
    reference: gr.State

    @property
    def asked(self) -> list[Any]:
        """What decides the outline."""
        return [self.shown, self.network, self.arm, self.labelled]

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [*self.asked, *self.settings]

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        shown, network, arm, labelled, *settings = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, request, network, arm, labelled)
        options = options_of(settings, predictor)
        prepared = predictor.prepare(made.pixels)
        return Work(made, predictor, prepared, options, predictor.run(prepared, options))

    def marks(self, request: Any, shown: Any, marked: Any) -> tuple[Scan, Marks]:
        """The picture and what is outlined on it. Late for what belongs to an earlier picture."""
        made, marks = self.scan(request, shown), read_marks(marked)
        if marks.picture != made.id or (marks.height, marks.width) != made.size:
            raise Late
        return made, marks


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

    own = network.startswith("job:")
    path = own_weights(context, request, network.removeprefix("job:")) if own else METHOD.checkpoint
    return read_card(path).extra["tasks"]["own" if own else network]


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
    if network.startswith("job:"):
        path = own_weights(context, request, network.removeprefix("job:"))
        return load_predictor("own", arm, count, path=path, device=context.find_device())
    return load_predictor(network, arm, count, device=context.find_device())


def own_weights(context: Context, request: Any, job_id: str) -> Path:
    """The weights file of the visitor's own training. ValueError with a sentence for somebody else's or one that is gone."""
    try:
        job = context.own_job(job_id, request)
        path = context.jobs.result(job.id).get(WEIGHTS) if job.config.get("recipe") == RECIPE else None
    except JobNotFound:
        path = None
    if path is None:
        raise ValueError(GONE)
    return path


def own_choices(context: Context, request: Any) -> list[tuple[str, str]]:
    """(label, value) of the visitor's finished trainings, newest first."""
    mine = context.jobs.list(visitor_of(request))
    kept = [job for job in mine if job.work == WORK and job.over and WEIGHTS in context.jobs.result(job.id)]
    return [(f"Your own training: {job.title}", f"job:{job.id}") for job in kept if job.config.get("recipe") == RECIPE]


def shipped_facts() -> Mapping[str, Any]:
    """What ships, for the page's first look; an empty set of levels when there is no card that can be trusted."""
    from models.semsim.record import METHOD
    from models.shared.checkpoints import CheckpointRefused, read_card

    try:
        return read_card(METHOD.checkpoint).extra["tasks"][SHIPPED]
    except (FileNotFoundError, CheckpointRefused, KeyError):
        return {"levels": {"l1": {"labelled": 1, "of": 1, "arms": {OWN: {}}}}}


_DESKS: WeakKeyDictionary[gr.Blocks, Desk] = WeakKeyDictionary()


def keep(site: gr.Blocks, desk: Desk) -> None:
    """Remember the desk of a page being built."""
    _DESKS[site] = desk


def desk_of(site: gr.Blocks) -> Desk:
    """The desk of that page; KeyError before Explore is laid out."""
    return _DESKS[site]
