"""Networks that a visitor trained: which there are, and where their weights lie. A choice is written "job:<id>"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.visitors import visitor_of
from workbench.zip_pictures import WORK

PREFIX = "job:"
GONE = "This training is not kept on the server any more; choose another network to answer, or train again."


@dataclass(frozen=True)
class OwnNetworks:
    """Of one room."""

    recipe: str
    """"module:function" of its training on own pictures."""
    weights: str
    """Name of the file that such a training leaves."""

    def path(self, context: Context, request: Any, choice: str) -> Path | None:
        """The weights behind a choice; None for a shipped network. ValueError with a sentence for somebody else's training or one that is gone."""
        if not choice.startswith(PREFIX):
            return None
        try:
            job = context.own_job(choice.removeprefix(PREFIX), request)
            path = context.jobs.result(job.id).get(self.weights) if job.config.get("recipe") == self.recipe else None
        except JobNotFound:
            path = None
        if path is None:
            raise ValueError(GONE)
        return path

    def choices(self, context: Context, request: Any) -> list[tuple[str, str]]:
        """(label, choice) of the visitor's finished trainings, newest first."""
        mine = [
            job
            for job in context.jobs.list(visitor_of(request))
            if job.work == WORK and job.over and job.config.get("recipe") == self.recipe
        ]
        return [(f"Your own training: {job.title}", f"{PREFIX}{job.id}") for job in mine if self.weights in context.jobs.result(job.id)]
