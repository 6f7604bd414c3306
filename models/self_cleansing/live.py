"""A small training to watch: noise is planted as asked, or labels are painted, and after every epoch one sees what the filter sees.

    made = material(LiveConfig(kind="missing", alpha=0.4))      # also the noise lab's preview
    for told in live(config, labels=None):                      # Step after every step, Epoch after every epoch
        ...
    labels = review.apply(made.planted.labels, last.proposed, decisions, 2)     # a person's decisions; then live(config, labels) again

Made-up liver slices on the processor, about a minute on one core. Closing the generator ends it before the next step.

Legend: N training pictures, C classes, S side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.self_cleansing import slices
from models.self_cleansing.casebook import case_of, suspects
from models.self_cleansing.diagnostics import describe
from models.self_cleansing.insight import as_level
from models.self_cleansing.network import UNet, build
from models.self_cleansing.noise import Planted, plant
from models.self_cleansing.plan import Arm, Cleansing, Noise, Training
from models.self_cleansing.results import Case, Level, OptionRefused, Suspect
from models.self_cleansing.study_data import Cases
from models.self_cleansing.training import Run, answers, mean_dice

STRUCTURES = slices.STRUCTURES
_FIRST_NUMBER = 500_000
"""Live pictures are none of a study's."""


class LiveConfig(BaseModel):
    """What a live training is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "asymmetric", "mixed", "missing", "shift", "swapped", "erosion", "dilation", "dabs"] = "asymmetric"
    alpha: float = Field(0.4, ge=0, le=1)
    beta: float = Field(0.5, gt=0, le=1)
    cleanse: bool = True
    """Off: the labels are looked at, but training takes them as they are."""
    gate: Literal["both", "sample", "pixel"] = "both"
    evidence: Literal["prediction", "prototypes", "both"] = "prediction"
    w: float = Field(0.5, gt=0, lt=1)
    kappa: float = Field(0.8, gt=0, lt=1)
    temperature: float = Field(0.1, gt=0, le=10)
    every: int = Field(1, ge=1, le=50)
    ema: bool = True
    augment: bool = True
    pictures: int = Field(128, ge=16, le=1000)
    tests: int = Field(40, ge=4, le=400)
    epochs: int = Field(16, ge=2, le=200)
    warmup: int = Field(7, ge=1, le=199)
    batch: int = Field(8, ge=2, le=64)
    lr: float = Field(3e-3, gt=0, le=0.1)
    seed: int = Field(0, ge=0, lt=2**31)


@dataclass(frozen=True, eq=False)
class LiveMaterial:
    """Pictures of a live training."""

    x: np.ndarray
    """float32 (N, 1, S, S)."""
    truth: np.ndarray
    """uint8 (N, S, S)."""
    planted: Planted


@dataclass(frozen=True)
class Step:
    """One step is done."""

    fraction: float
    """Of the whole training."""


@dataclass(frozen=True, eq=False)
class Epoch:
    """What is seen after an epoch."""

    epoch: int
    epochs: int
    loss: float
    test_dice: float
    cleansing: bool
    """Whether training takes cleansed labels from here on."""
    pictures: Level
    pixels: tuple[Level, ...]
    """For each class of the label."""
    ranked: tuple[Suspect, ...]
    """All training pictures, the most suspicious first."""
    pixel_auroc: float | None
    dice_before: float
    """Of the labels as given, to the truth."""
    dice_after: float
    flip_precision: float | None
    cases: tuple[Case, ...]
    """The pictures asked for."""
    proposed: np.ndarray
    """uint8 (N, S, S): all labels after cleansing."""
    told: dict
    """`diagnostics.describe` of the pass, in the form in which a card keeps it."""
    seconds: float


def read_config(config: Mapping[str, object]) -> LiveConfig:
    """The configuration, checked; OptionRefused in a sentence."""
    try:
        checked = LiveConfig.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise OptionRefused(f"This training cannot be started: {where}: {first['msg']}. Change it and start again.") from fault
    if checked.warmup >= checked.epochs:
        raise OptionRefused(f"Warm-up of {checked.warmup} epochs leaves none of {checked.epochs} for cleansing; take fewer.")
    return checked


def material(config: LiveConfig) -> LiveMaterial:
    """Pictures, true masks and planted noise; the same seed gives the same."""
    start = _FIRST_NUMBER + (config.seed % 1000) * 1000
    x, truth = slices.batch(range(start, start + config.pictures), 64, "train")
    noise = None if config.kind == "none" else Noise(config.kind, config.alpha, config.beta)
    return LiveMaterial(x, truth, plant(truth, noise, seed=config.seed, structures=len(STRUCTURES)))


def live(config: LiveConfig, labels: np.ndarray | None = None, *, cases: tuple[int, ...] = ()) -> Iterator[Step | Epoch]:
    """Trains and yields. `labels` uint8 (N, S, S): painted or corrected ones instead of the planted; `cases`: pictures to be shown.

    OptionRefused for labels or numbers that do not fit the pictures.
    """
    made = material(config)
    given = made.planted.labels if labels is None else np.asarray(labels)
    if given.shape != made.truth.shape or given.min() < 0 or given.max() > len(STRUCTURES):
        raise OptionRefused(f"Labels are masks of the shape {made.truth.shape} with numbers from 0 to {len(STRUCTURES)}.")
    if any(not 0 <= index < len(given) for index in cases):
        raise OptionRefused(f"There are {len(given)} training pictures, numbered from 0.")
    yield from _Live(config, made, given.astype(np.uint8), cases).events()


class _Live:
    """One live training."""

    def __init__(self, config: LiveConfig, made: LiveMaterial, given: np.ndarray, cases: tuple[int, ...]) -> None:
        self.config, self.made, self.given, self.cases, self.began = config, made, given, cases, time.perf_counter()
        x, masks = slices.batch(range(_FIRST_NUMBER, _FIRST_NUMBER + config.tests), 64, "test")
        self.test = Cases(torch.from_numpy(x), torch.from_numpy(masks))
        self.truth = torch.from_numpy(made.truth)
        arm = Arm("live", "live", _cleansing(config) if config.cleanse else None, config.ema, config.augment)
        self.run = Run(
            _network(config.seed), arm, _training(config), torch.from_numpy(made.x), torch.from_numpy(given), seed=config.seed, watch=True
        )

    def events(self) -> Iterator[Step | Epoch]:
        """Step by step, epoch by epoch."""
        done, steps = 0, self.config.epochs * max(1, len(self.given) // min(self.config.batch, len(self.given)))
        for one in self.run.epochs(each_step=True):
            if one is None:
                done += 1
                yield Step(done / steps)
            else:
                yield self._epoch(one)

    def _epoch(self, one) -> Epoch:
        seen, given = one.assessment, torch.from_numpy(self.given)
        told = describe(seen, given, self.truth, w=self.config.w)
        corrupted = (self.given != self.made.truth).any(axis=(1, 2))
        shown = [
            case_of(seen, i, i, self.made.x[i], self.given[i], self.made.truth[i], self.made.planted.kinds[i] if corrupted[i] else "")
            for i in self.cases
        ]
        return Epoch(
            epoch=one.epoch,
            epochs=one.epochs,
            loss=one.loss,
            test_dice=mean_dice(answers(self.run.student, self.test.x), self.test.masks, len(STRUCTURES) + 1),
            cleansing=self.config.cleanse and one.epoch >= self.config.warmup,
            pictures=as_level(told["pictures"]),
            pixels=tuple(as_level(level) for level in told["pixels"]),
            ranked=suspects(seen, corrupted),
            pixel_auroc=told["pixel_level"]["auroc"],
            dice_before=told["labels"]["dice_before"],
            dice_after=told["labels"]["dice_after"],
            flip_precision=told["labels"]["flip_precision"],
            cases=tuple(shown),
            proposed=seen.cleansed.labels.numpy(),
            told=told,
            seconds=time.perf_counter() - self.began,
        )


def _network(seed: int) -> UNet:
    return build(len(STRUCTURES) + 1, 1, (8, 16, 32), seed)


def _cleansing(config: LiveConfig) -> Cleansing:
    return Cleansing(config.gate, config.evidence, config.w, config.kappa, config.temperature, every=config.every)


def _training(config: LiveConfig) -> Training:
    return Training(config.epochs, config.warmup, config.batch, config.lr, decay=0.95)
