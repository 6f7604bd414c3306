"""The base-to-new study: which trainings it takes, their pictures as features, and how each is measured.

Protocol (CoOp and CoCoOp; KgCoOp and ProMIM take it over): prompts are learned on a few pictures of the base classes alone; base accuracy is
measured among base names, new accuracy among new names with the same learned words; H is their harmonic mean. Known deviation: classes are
not split in two by number, but new ones are those combinations the CLIP itself never met (`tasks.py`). Test masks are drawn from one
fixed seed, one mask for each picture, at the ratio of the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from models.promim.arms import ARMS
from models.promim.fit import Schedule, Shots, Training, answers, encode, encode_views
from models.promim.masks import Sampling
from models.promim.network import ClassTexts, class_texts
from models.promim.tasks import TASKS, Group, Task
from models.promim.weights import RunId, WeightSet, run_id

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip

TEST_MASK_SEED = 20_250_804
GROUPS: tuple[tuple[Group, str], ...] = (("base", "test"), ("new", "unseen"))
HEADLINE = RunId("promim", 0.75, 2.0)
"""The setting the paper recommends (seed aside)."""


class Plan(BaseModel):
    """A preset's configuration, checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = "small"
    tasks: tuple[str, ...] = Field(min_length=1)
    shots: int = Field(16, ge=1, le=256)
    test_per_class: int = Field(ge=1, le=1000)
    ratios: tuple[float, ...]
    """Mask ratios of the sweep."""
    weights: tuple[float, ...]
    """λ of the sweep."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Trainings of each arm and of ProMIM at its recommended setting."""
    sweep_seeds: tuple[int, ...]
    """Trainings of every other setting."""
    epochs: int = Field(ge=1, le=500)
    batch: int = Field(ge=1, le=512)
    lr: float = Field(gt=0, le=10)
    sampling: Sampling = "random"
    context: str = "a photo of a"
    kgcoop_weight: float = Field(8.0, ge=0)
    """Weight of KgCoOp's pull in its own form, on 1 − cos; half of it on the squared distance."""

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        for task in tasks:
            if task not in TASKS:
                raise ValueError(f"there is no task {task!r}; choose among {', '.join(TASKS)}")
        return tasks

    @property
    def schedule(self) -> Schedule:
        """Length and pace of every training."""
        return Schedule(self.epochs, self.batch, self.lr)

    @cached_property
    def runs(self) -> tuple[RunId, ...]:
        """Every training of one task, by seed."""
        wanted = [run_id(arm, seed=seed) for seed in self.seeds for arm in ("coop", "kgcoop", "cocoop")]
        swept = [(r, w, s) for r in self.ratios for w in self.weights for s in self.sweep_seeds]
        headline = [(HEADLINE.ratio, HEADLINE.weight, s) for s in self.seeds]
        wanted += [run_id("promim", ratio=r, weight=w, seed=s) for r, w, s in (*headline, *swept)]
        return tuple(sorted(dict.fromkeys(wanted), key=lambda run: (run.seed, run.ratio, run.arm, run.weight)))

    def weight_of(self, run: RunId) -> float:
        """λ on the squared distance."""
        return self.kgcoop_weight / 2 if run.arm == "kgcoop" else run.weight


def read_plan(config: Mapping[str, object]) -> Plan:
    """A preset's configuration, checked; ValueError in a sentence for one that cannot be run."""
    try:
        return Plan.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise ValueError(f"This training cannot be run: {where}: {first['msg']}. Mend it, or choose a preset.") from fault


@dataclass(frozen=True, eq=False)
class TestSet:
    """Held-out pictures of one half of a task: x̂ (N, E), labels (N,), and x̂_m for each mask ratio."""

    texts: ClassTexts
    image: Tensor
    labels: Tensor
    masked: Mapping[float, Tensor]


@dataclass(frozen=True, eq=False)
class Measured:
    """One training (or CLIP itself) measured: for each half, which pictures were named right (bool, N)."""

    task: str
    run: RunId
    base: Tensor
    new: Tensor


def pixels_of(clip: Clip, task: Task, group: Group, split: str, per_class: int, start: int = 0) -> tuple[Tensor, Tensor]:
    """Phantoms as the CLIP wants them (N, 3, S, S), and their labels (N,)."""
    drawn = task.draw(group, split, per_class, start=start)
    return clip.preprocess(list(drawn.images)), torch.from_numpy(drawn.labels).to(clip.device)


def test_set(clip: Clip, task: Task, group: Group, split: str, plan: Plan, ratios: tuple[float, ...]) -> TestSet:
    """Held-out pictures of one half, encoded whole and under one mask for each ratio above 0."""
    pixels, labels = pixels_of(clip, task, group, split, plan.test_per_class)
    image = encode(clip, pixels)
    masked = {r: encode_views(clip, pixels, r, 1, sampling=plan.sampling, seed=TEST_MASK_SEED)[:, 0] if r else image for r in ratios}
    return TestSet(class_texts(clip, task.names(group), template=task.template), image, labels, masked)


class TaskStudy:
    """One task: its training pictures by seed, its trainings, its held-out numbers."""

    def __init__(self, clip: Clip, task: Task, plan: Plan) -> None:
        self.clip, self.task, self.plan = clip, task, plan
        self._texts = class_texts(clip, task.names("base"), template=task.template)
        self._pixels = lru_cache(maxsize=1)(self._draw)
        self._shots = lru_cache(maxsize=2)(self._encode)

    def training(self, run: RunId) -> Training:
        """The training of a run, not yet begun."""
        shots = self._shots(run.seed, run.ratio)
        weight, plan = self.plan.weight_of(run), self.plan
        return Training(
            self.clip, self._texts, shots, arm=run.arm, weight=weight, seed=run.seed, schedule=plan.schedule, context=plan.context
        )

    def measure(self, learners: WeightSet | None, runs: tuple[RunId, ...]) -> Iterator[Measured]:
        """CLIP with hand-written sentences first, then every run."""
        ratios = tuple(sorted({run.ratio for run in runs}))
        halves = [test_set(self.clip, self.task, group, split, self.plan, ratios) for group, split in GROUPS]
        for run in (RunId("clip"), *runs):
            learner = learners.learner(self.task.id, run) if learners and run.arm != "clip" else None
            learner = learner and learner.to(self.clip.device)
            hits = []
            for half in halves:
                condition = half.masked[run.ratio] if ARMS[run.arm].conditional else None
                logits = answers(self.clip, learner, half.texts, half.image, condition)
                hits.append((logits.argmax(dim=-1) == half.labels).cpu())
            yield Measured(self.task.id, run, *hits)

    def _draw(self, seed: int) -> tuple[Tensor, Tensor]:
        start = seed * self.plan.shots * self.task.count  # other pictures for every seed
        return pixels_of(self.clip, self.task, "base", "train", self.plan.shots, start)

    def _encode(self, seed: int, ratio: float) -> Shots:
        pixels, labels = self._pixels(seed)
        image = encode(self.clip, pixels)
        if not ratio:
            return Shots(image, labels, image[:, None])
        views = encode_views(self.clip, pixels, ratio, self.plan.epochs, sampling=self.plan.sampling, seed=seed)
        return Shots(image, labels, views)
