"""From a visitor's request to the room: whose picture, whose prompts, which backbone. No layout, no drawing.

PyTorch is loaded when the first question comes, not with the page.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.promim.records import Mask
from workbench.context import Context
from workbench.jobs import Job, JobNotFound
from workbench.parts.patch_grid import Mask as Painted
from workbench.parts.patch_grid import read_mask
from workbench.picture_routes import encode
from workbench.pictures import Picture, Shown
from workbench.tabs.promim.question import Question, options
from workbench.visitors import visitor_of
from workbench.zip_pictures import WORK

if TYPE_CHECKING:
    from models.promim.records import Options, Prepared, TaskInfo
    from models.promim.wrapper import Explorer

RECIPE = "models.promim.own:train_own"
WEIGHTS = "prompts.safetensors"
COMPANIONS = 4
GONE = "This training is not kept on the server any more; choose the shipped prompts, or train again."


@dataclass(frozen=True)
class Asked:
    """A question with everything that is needed to answer it."""

    explorer: Explorer
    task: TaskInfo
    picture: Picture
    prepared: Prepared
    painted: Painted
    options: Options

    @property
    def thrown_anew(self) -> Options:
        """The same question with masks from the dice: as many hidden patches as painted, chosen in the same way."""
        hidden = 1 - len(self.painted.keep) / self.explorer.clip.patches
        return replace(self.options, mask=Mask(ratio=hidden, sampling=self.painted.way))

    def companions(self) -> list[Prepared]:
        """A few other pictures of the same kind, to compare class descriptions with; none for a set of classes without phantoms."""
        return [self.explorer.prepare(picture) for picture in _companions(self.task.id)] if self.task.family else []


@dataclass(frozen=True)
class Desk:
    """Answers the tab's handlers. Holds nothing of a visitor's."""

    context: Context

    def explorer(self, request: Any, question: Question) -> Explorer:
        """The room's explorer for the chosen backbone and prompts. ValueError (also of the backbone and of the file) with a sentence."""
        from models.promim.wrapper import explorer

        return explorer(question.backbone, self.own_weights(request, question.prompts) if question.prompts else "")

    def task(self, explorer: Explorer, question: Question) -> TaskInfo:
        """The chosen set of classes; the first where the prompts do not know it."""
        return next((task for task in explorer.tasks if task.id == question.task), explorer.tasks[0])

    def ask(self, request: Any, grid: object, shown: Shown, question: Question, **more: object) -> Asked | None:
        """Everything for one answer, or None while the page still shows another picture than it asks about. ValueError with a sentence."""
        if not isinstance(grid, dict) or grid.get("picture") != self.key(shown, question):
            return None
        explorer = self.explorer(request, question)
        picture = self.context.pictures.get(request, shown)
        painted = read_mask(grid, explorer.clip.patches)
        task = self.task(explorer, question)
        return Asked(
            explorer,
            task,
            picture,
            explorer.prepare(picture.pixels),
            painted,
            options(question, task, painted, explorer.clip.patches, **more),
        )

    def key(self, shown: Shown, question: Question) -> str:
        """Which picture, cut into which backbone's patches, a mask belongs to."""
        return hashlib.sha256(f"{shown}|{question.backbone}".encode()).hexdigest()[:16]

    # ------------------------------------------------------------------ the visitor's own prompts
    def own_trainings(self, request: Any) -> list[Job]:
        """The visitor's finished trainings on own pictures, newest first."""
        jobs = self.context.jobs.list(visitor_of(request))
        return [job for job in jobs if _is_own(job) and job.over and WEIGHTS in self.context.jobs.result(job.id)]

    def own_weights(self, request: Any, job_id: str) -> Path:
        """The weights of one of them; ValueError with a sentence for anybody else's or one that is gone."""
        try:
            job = self.context.own_job(job_id, request)
            path = self.context.jobs.result(job.id).get(WEIGHTS) if _is_own(job) else None
        except JobNotFound:
            path = None
        if path is None:
            raise ValueError(GONE)
        return path


@lru_cache(maxsize=8)
def _companions(task: str) -> tuple[np.ndarray, ...]:
    from models.promim.tasks import examples

    return tuple(example.image for example in examples(task)[:COMPANIONS])


def data_url(pixels: np.ndarray) -> str:
    """A small picture, uint8 (H, W) or (H, W, 3), as an address that holds it whole."""
    content, kind = encode(pixels)
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _is_own(job: Job) -> bool:
    return job.work == WORK and job.config.get("recipe") == RECIPE
