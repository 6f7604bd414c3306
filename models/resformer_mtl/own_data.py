"""Own pictures for `own.py`: the checked configuration, and the pictures with their masks and labels as a task.

What is learned follows from what was brought. Class folders: those classes, one of which is true. No class folders, but some masks black and some
drawn: whether there is anything. Otherwise outlines alone. The data set's training and validation parts are trained on together, as no picture
chooses a step here; its test part stays out of sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.resformer_mtl.plan import OWN, TWINS, Task, Training
from models.resformer_mtl.study_data import Cases, derived_labels, from_split
from models.shared.data.masked_folders import ONE_CLASS, load

if TYPE_CHECKING:
    from models.shared.data import Dataset
    from models.shared.data.folders import Decoder

DECODES = (".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
TASK = "own"
ANYTHING = "anything drawn"


class OwnConfig(BaseModel):
    """What a training on own pictures is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """The zip or folder."""
    arms: tuple[Literal["full", "seg_only", "cls_only", "unet", "no_transformer", "no_dfe", "last_scale", "parallel"], ...] = Field(
        (OWN, *TWINS), min_length=1
    )
    side: Literal[64, 128, 256] = 128
    steps: int = Field(400, ge=10, le=20_000)
    batch: int = Field(8, ge=2, le=64)
    lr: float = Field(1.5e-3, gt=0, le=0.1)
    alpha: float = Field(0.25, gt=0, le=10)
    """Weight of the class loss where both tasks are learned."""
    mirror: float = Field(0.5, ge=0, le=1)
    degrees: float = Field(25.0, ge=0, le=180)
    seed: int = Field(0, ge=0, lt=2**31)
    device: str = "cpu"

    @field_validator("arms")
    @classmethod
    def _each_once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arms))


@dataclass(frozen=True, eq=False)
class OwnPictures:
    """A task made of own pictures."""

    task: Task
    train: Cases
    test: Cases
    derived: bool
    """Whether the label is "anything drawn"."""
    classifies: bool
    """Whether there is anything to tell apart."""
    note: str


def read_config(config: Mapping[str, object]) -> OwnConfig:
    """The configuration, checked; ValueError in a sentence."""
    try:
        return OwnConfig.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise ValueError(f"This training cannot be started: {where}: {first['msg']}. Change it and start again.") from fault


def load_pictures(config: OwnConfig, decode: Decoder | None = None) -> OwnPictures:
    """The pictures of a zip or folder. Raises DataDamaged, in one sentence, for what cannot be used."""
    data = load(Path(config.path), size=config.side, decode=decode, decodes=DECODES if decode else ())
    derived = data.classes == (ONE_CLASS,)
    train, test = _cases(data, derived)
    classifies = all(0 < int(part.labels[:, 0].sum()) < len(part) for part in (train, test))
    arms = tuple(arm for arm in config.arms if classifies or arm != "cls_only") or ("seg_only",)
    if not classifies:
        arms = tuple(dict.fromkeys("seg_only" if arm == OWN else arm for arm in arms))
    partly = not bool(train.has_mask.all())
    training = Training(
        steps=config.steps,
        batch=config.batch,
        masked_share=0.5 if partly else 0.0,
        lr=config.lr,
        alpha=config.alpha if classifies else 0.0,
        mirror=config.mirror,
        degrees=config.degrees,
    )
    task = Task(
        TASK,
        "own pictures",
        "real",
        TASK,
        arms,
        training,
        side=config.side,
        classes=(ANYTHING,) if derived else data.classes,
        exclusive=not derived,
    )
    return OwnPictures(task, train, test, derived, classifies, data.note)


def _cases(data: Dataset, derived: bool) -> tuple[Cases, Cases]:
    """(training and validation together, test)."""
    parts = []
    for part in (data.train, data.validation, data.test):
        cases = from_split(part, len(data.classes))
        if derived:  # without a mask nothing is known of a picture
            cases = cases.rows(cases.has_mask)
            cases = Cases(cases.x, cases.masks, derived_labels(cases.masks, 1), cases.has_mask)
        parts.append(cases)
    train, validation, test = parts
    names = ("x", "masks", "labels", "has_mask")
    return Cases(*(torch.cat([getattr(train, name), getattr(validation, name)]) for name in names)), test
