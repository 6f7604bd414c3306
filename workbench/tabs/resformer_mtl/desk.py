"""What every handler of this tab begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gradio as gr

from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts.segments import Marks, Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.resformer_mtl.names import SHORT, arm_choices
from workbench.visitors import visitor_of
from workbench.working_scan import Scan, scan
from workbench.zip_pictures import WORK

if TYPE_CHECKING:
    from models.resformer_mtl.results import Prepared, Result
    from models.resformer_mtl.wrapper import Predictor

RECIPE = "models.resformer_mtl.own:train_own"
WEIGHTS = "resformer.safetensors"
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
    threshold: gr.Slider
    smallest: gr.Slider
    reference: gr.State

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.network, self.arm, self.threshold, self.smallest]

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        from models.resformer_mtl.results import Options

        shown, network, arm, threshold, smallest = values
        made, predictor = self.scan(request, shown), predictor_of(self.context, request, network, arm)
        prepared = predictor.prepare(made.pixels, made.spacing_mm)
        return Work(made, predictor, prepared, predictor.run(prepared, Options(threshold=threshold, at_least_px=int(smallest))))

    def marks(self, request: Any, shown: Any, marked: Any) -> tuple[Scan, Marks]:
        """The picture and what is outlined on it. Late for what belongs to an earlier picture."""
        made, marks = self.scan(request, shown), read_marks(marked)
        if marks.picture != made.id or (marks.height, marks.width) != made.size:
            raise Late
        return made, marks


def predictor_of(context: Context, request: Any, network: str, arm: str) -> Predictor:
    """The network of a choice: a shipped task, or "job:<id>" for the visitor's own training. ValueErrors with a sentence."""
    from models.resformer_mtl.wrapper import load_predictor

    device = context.find_device()
    if not network.startswith("job:"):
        return load_predictor(network, arm if arm in [id for _, id in arm_choices(network)] else "full", device=device)
    from models.shared.checkpoints import read_card

    path = own_weights(context, request, network.removeprefix("job:"))
    known = list(read_card(path).extra["tasks"]["own"]["arms"])
    return load_predictor("own", arm if arm in known else known[0], path=path, device=device)


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


def arms_of(context: Context, request: Any, network: str) -> list[tuple[str, str]]:
    """(label, id) of the networks of a choice."""
    if not network.startswith("job:"):
        return arm_choices(network)
    from models.shared.checkpoints import read_card

    return [(SHORT[arm], arm) for arm in read_card(own_weights(context, request, network[4:])).extra["tasks"]["own"]["arms"]]


_DESKS: WeakKeyDictionary[gr.Blocks, Desk] = WeakKeyDictionary()


def keep(site: gr.Blocks, desk: Desk) -> None:
    """Remember the desk of a page being built."""
    _DESKS[site] = desk


def desk_of(site: gr.Blocks) -> Desk:
    """The desk of that page; KeyError before Explore is laid out."""
    return _DESKS[site]
