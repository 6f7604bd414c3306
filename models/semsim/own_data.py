"""Own pictures for `own.py`: the checked configuration, and the pictures as a task in which only some masks may be read.

Every picture with a mask could teach; `share` of them are left their masks, drawn by the seed, at least one with something drawn. All training pictures,
those that came without a mask too, serve without labels. The data set's training and validation parts are trained on together, as no picture
chooses a step here; its test part stays out of sight and is measured where it has masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from models.semsim.plan import FIXMATCH, OWN, SUPERVISED, Task, Training
from models.semsim.study_data import Cases
from models.shared.data.masked_folders import load

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

DECODES = (".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
TASK = "own"


class OwnConfig(BaseModel):
    """What a training on own pictures is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """The zip or folder."""
    share: float = Field(0.1, gt=0, le=1)
    """Of the training pictures with masks, how many keep them."""
    arms: tuple[
        Literal["semsim", "fixmatch", "supervised", "semsim_literal", "fixmatch_two", "u_intra", "u_cross", "intra_cross", "semsim_minus"],
        ...,
    ] = Field((SUPERVISED, FIXMATCH, OWN), min_length=1)
    side: Literal[64, 96, 128] = 64
    colour: bool = False
    """Whether pictures are read in colour."""
    steps: int = Field(600, ge=10, le=50_000)
    batch: int = Field(4, ge=2, le=32)
    """Labelled pictures of a step, and as many unlabelled ones."""
    lr: float = Field(0.03, gt=0, le=1)
    tau: float = Field(0.95, gt=0, le=1)
    channel_dropout: float = Field(0.0, ge=0, lt=1)
    quarter_turns: bool = True
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
    labelled: Tensor
    """int64: rows of `train` whose masks may be read, in the order in which they were drawn."""
    test: Cases
    with_masks: int
    """Training pictures that came with a mask."""
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
    mode = "RGB" if config.colour else "L"
    data = load(Path(config.path), size=config.side, mode=mode, decode=decode, decodes=DECODES if decode else ())
    x = torch.cat([data.train.x, data.validation.x])
    masks = torch.cat([data.train.masks, data.validation.masks]).to(torch.uint8)
    has_mask = torch.cat([data.train.has_mask, data.validation.has_mask])
    rows = _drawn(has_mask, masks, config)
    measured = data.test.has_mask
    training = Training(
        steps=config.steps,
        labelled_batch=config.batch,
        unlabelled_batch=config.batch,
        lr=config.lr,
        tau=config.tau,
        channel_dropout=config.channel_dropout,
        quarter_turns=config.quarter_turns,
    )
    task = Task(
        TASK,
        "own pictures",
        "real",
        TASK,
        (float(len(rows)),),
        config.arms,
        training=training,
        side=config.side,
        network={"in_channels": 3} if config.colour else {},
    )
    test = Cases(data.test.x[measured], data.test.masks[measured].to(torch.uint8))
    return OwnPictures(task, Cases(x, masks), rows, test, int(has_mask.sum()), data.note)


def _drawn(has_mask: Tensor, masks: Tensor, config: OwnConfig) -> Tensor:
    """The rows that keep their masks: the first has something drawn, else nothing could be learned of the lesion."""
    order = np.random.default_rng([config.seed, 7]).permutation(has_mask.nonzero()[:, 0].numpy())
    shows = masks.flatten(1).any(dim=1).numpy()[order]
    first = int(shows.argmax())
    order = np.concatenate([order[[first]], np.delete(order, first)])
    return torch.from_numpy(order[: max(1, round(config.share * len(order)))].copy())
