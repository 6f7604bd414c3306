"""Own pictures for `own.py`: the checked configuration, the pictures as the CLIP will see them in Explore, and the folds.

A picture is first cut or padded to what the CLIP's own preprocessing would show of it, so that training and later use see the same.
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

from models.promim.masks import Sampling
from models.promim.network import CONTEXT, TEMPLATE
from models.shared.data import DataDamaged
from models.shared.data.folders import load

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip
    from models.shared.data.folders import Decoder

MOST_CLASSES = 12
MOST_PER_CLASS = 64
_PICTURES = (".png", ".jpg", ".jpeg")
_DICOM = (".dcm", ".dicom")


class OwnConfig(BaseModel):
    """What a training on own pictures is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """The zip or folder."""
    arms: tuple[Literal["coop", "cocoop", "kgcoop", "promim"], ...] = Field(("coop", "cocoop", "promim"), min_length=1)
    names: dict[str, str] = Field(default_factory=dict)
    """Folder name → class name in words; without one, the folder's name with _ and - as blanks."""
    template: str = Field(TEMPLATE, max_length=200)
    """The hand-written sentence, with {} for the class name."""
    backbone: str = ""
    """As in `load_clip`; "" means the one in use."""
    ratio: float = Field(0.75, ge=0, le=1)
    weight: float = Field(2.0, ge=0, le=100)
    """λ, for ProMIM and, on the same scale, for KgCoOp."""
    sampling: Sampling = "random"
    epochs: int = Field(10, ge=1, le=100)
    batch: int = Field(8, ge=1, le=128)
    lr: float = Field(0.02, gt=0, le=1)
    folds: int = Field(3, ge=2, le=10)
    per_class: int = Field(32, ge=4, le=MOST_PER_CLASS)
    """At most so many pictures of each class are used."""
    most_views: int = Field(16, ge=1, le=100)
    """Masked views of each picture; with more epochs they come round again."""
    context: str = CONTEXT
    seed: int = Field(0, ge=0, lt=2**31)
    device: str = "cpu"

    @field_validator("arms")
    @classmethod
    def _each_once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arms))


@dataclass(frozen=True, eq=False)
class OwnPictures:
    """Pictures (N, 3, S, S) float32 in 0…1, labels (N,) int64, groups of near copies (N,) int64, class names in words."""

    pixels: Tensor
    labels: Tensor
    groups: Tensor
    names: tuple[str, ...]
    note: str


def read_config(config: Mapping[str, object]) -> OwnConfig:
    """The configuration, checked; ValueError in a sentence."""
    try:
        return OwnConfig.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise ValueError(f"This training cannot be started: {where}: {first['msg']}. Change it and start again.") from fault


def load_pictures(config: OwnConfig, clip: Clip, decode: Decoder | None = None) -> OwnPictures:
    """The pictures of a zip or folder. Raises DataDamaged, in one sentence, for what cannot be used."""
    data = load(
        Path(config.path),
        size=clip.image_size,
        mode="RGB",
        decode=_as_the_clip_sees_it(clip, decode),
        decodes=(*_PICTURES, *(_DICOM if decode else ())),
    )
    if len(data.classes) > MOST_CLASSES:
        raise DataDamaged(
            f"There are {len(data.classes)} class folders; prompts are learned for at most {MOST_CLASSES}. Use fewer classes."
        )
    parts = (data.train, data.validation, data.test)
    pixels, labels, groups = (torch.cat([getattr(part, name) for part in parts]) for name in ("x", "y", "groups"))
    rows, left_out = _at_most(labels, config.per_class, config.seed)
    note = data.note + (f" Of classes with more than {config.per_class} pictures, {left_out} were left out." if left_out else "")
    names = tuple(config.names.get(name) or " ".join(name.replace("_", " ").replace("-", " ").split()) or name for name in data.classes)
    if len(set(names)) < len(names):
        raise DataDamaged("Two classes have the same name in words, so they could not be told apart. Give them different names.")
    return OwnPictures(pixels[rows], labels[rows], groups[rows], names, note)


def folds_of(pictures: OwnPictures, wanted: int, seed: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """(training rows, test rows) of each fold: stratified, near copies never apart; as many folds as the smallest class allows."""
    from sklearn.model_selection import StratifiedGroupKFold

    y, groups = pictures.labels.numpy(), pictures.groups.numpy()
    smallest = min(len(np.unique(groups[y == label])) for label in np.unique(y))
    splitter = StratifiedGroupKFold(n_splits=max(2, min(wanted, smallest)), shuffle=True, random_state=seed)
    return tuple((torch.from_numpy(train), torch.from_numpy(test)) for train, test in splitter.split(np.zeros(len(y)), y, groups))


def _at_most(labels: Tensor, most: int, seed: int) -> tuple[Tensor, int]:
    """Rows kept, in order, with at most so many of each class, chosen by seed; and how many were left out."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    kept = torch.cat([order[labels[order] == label][:most] for label in labels.unique()])
    return kept.sort().values, len(labels) - len(kept)


def _as_the_clip_sees_it(clip: Clip, decode: Decoder | None) -> Decoder:
    """A decoder for every kind of file that returns the part of the picture that the CLIP's preprocessing shows, padded with black."""
    from models.shared.data import pictures

    def read(data: bytes, name: str) -> np.ndarray:
        plain = decode is None or name.lower().endswith(_PICTURES)
        values = pictures.decode(name, data, mode="RGB") if plain else decode(data, name)
        return _cut(values, clip.seen_box(*values.shape[:2]))

    return read


def _cut(values: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The box of a picture (H, W, …), with black where it reaches beyond the picture."""
    top, left, bottom, right = (round(edge) for edge in box)
    height, width = values.shape[:2]
    before, after = (max(0, -top), max(0, -left)), (max(0, bottom - height), max(0, right - width))
    padded = np.pad(values, [(before[0], after[0]), (before[1], after[1]), *[(0, 0)] * (values.ndim - 2)])
    return padded[top + before[0] : bottom + before[0], left + before[1] : right + before[1]]
