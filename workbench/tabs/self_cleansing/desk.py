"""What every handler of the outlining half begins with: whose picture, which network answers, what is set; and what is outlined at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts.segments import Marks, Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.self_cleansing.names import Choices, arm_choices, card_of, default_setting, network_choices, setting_choices, tasks_of
from workbench.visitors import visitor_of
from workbench.working_scan import Scan, scan
from workbench.zip_pictures import WORK

if TYPE_CHECKING:
    from models.self_cleansing.results import Prepared, Result
    from models.self_cleansing.wrapper import Predictor

RECIPE = "models.self_cleansing.own:train_own"
WEIGHTS = "self_cleansing.safetensors"
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
    task: str
    setting: str
    arm: str

    def segments(self) -> list[Segment]:
        """The outlined structures as the canvas takes them."""
        names = self.predictor.structures
        masks = [self.result.mask == number for number in range(1, len(names) + 1)]
        return [Segment(0, name, mask, origin="auto") for name, mask in zip(names, masks, strict=True) if mask.any()]


@dataclass(frozen=True, eq=False)
class Desk:
    """The components that other parts of the tab read."""

    context: Context
    method: Method
    shown: gr.State
    canvas: gr.HTML
    network: gr.Dropdown
    setting: gr.Dropdown
    arm: gr.Dropdown
    model: gr.Radio
    smallest: gr.Slider
    reference: gr.State

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.network, self.setting, self.arm, self.model, self.smallest]

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. OptionRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        from models.self_cleansing.results import Options

        shown, network, setting, arm, model, smallest = values
        made = self.scan(request, shown)
        predictor = predictor_of(self.context, request, network, setting, arm, model)
        prepared = predictor.prepare(made.pixels)
        result = predictor.run(prepared, Options(at_least_px=int(smallest)))
        return Work(made, predictor, prepared, result, "own" if network.startswith("job:") else network, setting, arm)

    def marks(self, request: Any, shown: Any, marked: Any) -> tuple[Scan, Marks]:
        """The picture and what is outlined on it. Late for what belongs to an earlier picture."""
        made, marks = self.scan(request, shown), read_marks(marked)
        if marks.picture != made.id or (marks.height, marks.width) != made.size:
            raise Late
        return made, marks

    def facts(self, request: Any, network: str) -> dict[str, Any]:
        """What the card says of a choice's task. ValueError for a training that is gone."""
        if not network.startswith("job:"):
            return tasks_of(card_of(self.method)).get(network, {})
        from models.shared.checkpoints import read_card

        return read_card(own_weights(self.context, request, network.removeprefix("job:"))).extra["tasks"]["own"]


def predictor_of(context: Context, request: Any, network: str, setting: str, arm: str, model: str) -> Predictor:
    """The network of a choice: a shipped one, or "job:<id>" for the visitor's own training. ValueErrors with a sentence.

    Where a training has no such weights (no teacher, no best epoch kept), the last epoch answers.
    """
    from models.self_cleansing.results import OptionRefused
    from models.self_cleansing.wrapper import load_predictor

    own = network.startswith("job:")
    path = own_weights(context, request, network.removeprefix("job:")) if own else None
    place = ("own", "own", "cleansed") if own else (network, setting, arm)
    device = context.find_device()
    try:
        return load_predictor(*place, model, path=path, device=device)
    except OptionRefused:
        return load_predictor(*place, "last", path=path, device=device)


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


def choices(context: Context, method: Method, request: Any) -> Choices:
    """(label, value) of the shipped tasks and of the visitor's finished trainings, newest first."""
    mine = context.jobs.list(visitor_of(request))
    kept = [
        job
        for job in mine
        if job.work == WORK and job.over and job.config.get("recipe") == RECIPE and WEIGHTS in context.jobs.result(job.id)
    ]
    return [*network_choices(card_of(method)), *((f"Your own training: {job.title}", f"job:{job.id}") for job in kept)]


def dropdowns(facts: dict[str, Any]) -> list[gr.Dropdown]:
    """Setting and arm for another task."""
    setting = default_setting(facts) or next(iter(facts.get("arms", {})), "")
    arms = arm_choices(facts, setting)
    return [gr.Dropdown(choices=setting_choices(facts), value=setting), gr.Dropdown(choices=arms, value=arms[0][1] if arms else None)]


_DESKS: WeakKeyDictionary[gr.Blocks, Desk] = WeakKeyDictionary()


def keep(site: gr.Blocks, desk: Desk) -> None:
    """Remember the desk of a page being built."""
    _DESKS[site] = desk


def desk_of(site: gr.Blocks) -> Desk:
    """The desk of that page; KeyError before Explore is laid out."""
    return _DESKS[site]
