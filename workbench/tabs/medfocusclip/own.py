"""The visitor's own trainings: their configuration from the controls, and their weights as somebody who can be asked in Explore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.medfocusclip.options import ZERO_SHOT
from models.medfocusclip.study_plan import ARMS
from workbench.context import Context
from workbench.jobs import Job, JobNotFound
from workbench.visitors import visitor_of

WORK = "models.medfocusclip.ways:train_ways"
WEIGHTS = "weights.safetensors"
HEAD = "own"
PREFIX = "job:"
"""Before a job's id, in the choice of who answers."""
GONE = "This training is not kept on the server any more; choose somebody else to answer, or train again."


def ways_of(arms: list[str], pictures: float, shortcut: float, epochs: float, seed: float | None) -> dict[str, Any]:
    """The job's configuration. ValueError with a sentence before a training that is going is given up for it."""
    chosen = [arm for arm in ARMS if arm in (arms or ())]
    if not chosen:
        raise ValueError("Choose at least one way to train.")
    return {"arms": chosen, "pictures": int(pictures), "shortcut": float(shortcut), "epochs": float(epochs), "seed": int(seed or 0)}


def trainings(context: Context, request: Any) -> list[Job]:
    """The visitor's trainings that have left weights, newest first."""
    mine = context.jobs.list(visitor_of(request))
    return [job for job in mine if job.work == WORK and job.over and WEIGHTS in context.jobs.result(job.id)]


def choices(context: Context, request: Any) -> list[tuple[str, str]]:
    """(label, value) of each for the choice of who answers."""
    return [(f"Your own training: {job.title}", f"{PREFIX}{job.id}") for job in trainings(context, request)]


def who(context: Context, request: Any, chosen: str) -> tuple[str, Path | None]:
    """Head and weights file behind a choice. ValueError with a sentence for a training of somebody else or one that is gone."""
    if not chosen.startswith(PREFIX):
        return chosen or ZERO_SHOT, None
    try:
        job = context.own_job(chosen.removeprefix(PREFIX), request)
        path = context.jobs.result(job.id).get(WEIGHTS) if job.work == WORK else None
    except JobNotFound:
        path = None
    if path is None:
        raise ValueError(GONE)
    return HEAD, path
