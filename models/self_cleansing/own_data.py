"""Own pictures with masks for `own.py`: the checked configuration, and pictures and masks with their files' names and sizes.

The layouts are those of `models.shared.data.masked_folders`, whose pairing and reading are used here directly: its `load` hands out no names, and a list
of labels to re-check is of no use without them. Every picture with a mask takes part, also near copies, for every label is to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.shared.data import DataDamaged, masked_folders, pictures
from models.shared.data.archives import members
from models.shared.data.folders import LIMITS, MAX_KEPT_BYTES

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

DECODES = (".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
FEWEST = 12


class OwnConfig(BaseModel):
    """What a training on own pictures is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """The zip or folder."""
    side: Literal[64, 128, 256] = 64
    epochs: int = Field(40, ge=4, le=2000)
    warmup: int = Field(15, ge=1, le=1999)
    batch: int = Field(8, ge=2, le=64)
    lr: float = Field(2e-3, gt=0, le=0.1)
    gate: Literal["both", "sample", "pixel"] = "both"
    evidence: Literal["prediction", "prototypes", "both"] = "prediction"
    kappa: float = Field(0.8, gt=0, lt=1)
    flips: bool = False
    """Mirrors and quarter turns, for pictures without an upright; else small turns alone."""
    degrees: float = Field(15.0, ge=0, le=180)
    gamma: float = Field(0.2, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=2**31)
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class OwnPictures:
    """Pictures with masks, N of them."""

    x: np.ndarray
    """float32 (N, 1, side, side) in 0…1."""
    masks: np.ndarray
    """uint8 (N, side, side) of 0 and 1."""
    names: tuple[str, ...]
    """Their files, as in the zip."""
    sizes: tuple[tuple[int, int], ...]
    """(H, W) of each file."""
    note: str


def read_config(config: Mapping[str, object]) -> OwnConfig:
    """The configuration, checked; ValueError in a sentence."""
    try:
        checked = OwnConfig.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise ValueError(f"This training cannot be started: {where}: {first['msg']}. Change it and start again.") from fault
    if checked.warmup >= checked.epochs:
        raise ValueError(f"Warm-up of {checked.warmup} epochs leaves none of {checked.epochs} for cleansing; take fewer.")
    return checked


def load_pictures(config: OwnConfig, decode: Decoder | None = None) -> OwnPictures:
    """The pictures of a zip or folder that have a mask. Raises DataDamaged, in one sentence, for what cannot be used."""
    decodes = DECODES if decode else ()
    gzipped = tuple(ending for ending in decodes if ending.endswith(".gz"))
    with members(Path(config.path), replace(LIMITS, packed=(*LIMITS.packed, *gzipped))) as files:
        pairs = masked_folders._paired(files, decodes)[0]
        masked = [pair for pair in pairs if pair.masks]
        if len(masked) < FEWEST:
            raise DataDamaged(
                f"{len(pairs)} pictures and {len(masked)} with a mask were found; at least {FEWEST} with a mask are needed. Put PNG masks of the "
                "same names into masks/ beside images/, or beside the pictures as a_mask.png."
            )
        if len(masked) * config.side**2 * 6 > MAX_KEPT_BYTES:
            raise DataDamaged(
                f"{len(masked):,} pictures at this size take more than {MAX_KEPT_BYTES >> 20} MB. Use fewer, or a smaller size."
            )
        read = [_read(pair, config.side, decode, decodes) for pair in masked]
    masks = np.stack([one[1] for one in read])
    if masks.reshape(len(masks), -1).any(axis=1).sum() < FEWEST // 2:
        raise DataDamaged(f"Fewer than {FEWEST // 2} masks have something drawn on them. Add pictures with drawn masks.")
    without = len(pairs) - len(masked)
    note = f"{len(masked)} pictures with a mask take part" + (f"; {without} without one were left out." if without else ".")
    return OwnPictures(
        np.stack([one[0] for one in read])[:, None] / np.float32(255),
        masks,
        tuple(pair.picture.name for pair in masked),
        tuple(one[2] for one in read),
        note,
    )


def _read(pair, side: int, decode: Decoder | None, decodes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Picture uint8 (side, side), mask uint8 (side, side), size of the file."""
    values = masked_folders._values(pair.picture, "L", decode, decodes)
    drawn = np.zeros(values.shape[:2], bool)
    for member in pair.masks:
        one = masked_folders._mask(member, decode, decodes)
        if one.shape != drawn.shape:
            raise DataDamaged(
                f"The mask {member.name} is {one.shape[1]}×{one.shape[0]}, its picture {values.shape[1]}×{values.shape[0]}. Save the mask at the picture's size."
            )
        drawn |= one
    picture = pictures.as_array(pair.picture.name, values, mode="L", size=side)
    return picture, pictures.resize_masks(drawn[None], side)[0].astype(np.uint8), drawn.shape
