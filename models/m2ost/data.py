"""Spots of made-up sections as the network sees them, with their planted expression; cut once and kept in the user's cache folder.

Two splits of the same test spots. "patient": no patient of the test is in the training. "slide": for every test patient another section is in the
training, in place of as many others, as a split by slide files would have it; what numbers rise by is what knowing the patient gives.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from models.m2ost.views import FIELD_UM, SIDE, Views, in_order
from models.shared.checkpoints import write_atomically
from models.shared.data.histology import GENES, Section, expression, make_section
from models.shared.data.spatial.normalise import log_cpm
from models.shared.slides import PixelSource

VERSION = 2
"""Counted up when sections, genes or views change; older files in the cache are then not used."""
MPP = 1.0
"""µm a pixel at which sections are drawn for training; the area average of finer ones, as `tests/models/histology` shows."""
WIDTH_UM, HEIGHT_UM, PITCH_UM = 3200.0, 2560.0, 90.0
LEVELS = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots of some sections. N spots, G genes."""

    views: np.ndarray = field(repr=False)
    """uint8 (N, 3, side, side, 3): the three views."""
    y: np.ndarray = field(repr=False)
    """float32 (N, G): log(1 + CPM)."""
    section: np.ndarray = field(repr=False)
    """int (N,): place of the spot's section in `names`."""
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Plan:
    """Which sections there are: (patient, seed) each."""

    train: tuple[tuple[int, int], ...]
    validation: tuple[tuple[int, int], ...]
    test: tuple[tuple[int, int], ...]


def plan_of(config: Mapping[str, object], split: str) -> Plan:
    """The sections of a configuration for the split "patient" or "slide"; ValueError for another."""
    patients, tests = int(config["patients"]), int(config["test_patients"])
    train = [(number, seed) for number in range(patients) for seed in (0, 1)]
    test = tuple((500 + number, 0) for number in range(tests))
    if split == "slide":
        known = [(500 + number, 1) for number in range(tests)]
        if len(known) >= len(train):
            raise ValueError("A split by slide needs more training sections than test patients.")
        train = known + train[len(known) :]
    elif split != "patient":
        raise ValueError(f"The split is by 'patient' or by 'slide', not by {split!r}.")
    return Plan(tuple(train), tuple((800 + number, 0) for number in range(int(config["validation_patients"]))), test)


def load(sections: tuple[tuple[int, int], ...]) -> Spots:
    """All spots of these sections."""
    parts = [of_section(patient, seed) for patient, seed in sections]
    number = np.concatenate([np.full(len(views), place) for place, (views, _) in enumerate(parts)])
    names = tuple(f"patient {patient}, section {seed + 1}" for patient, seed in sections)
    return Spots(np.concatenate([views for views, _ in parts]), np.concatenate([y for _, y in parts]), number, names)


def prepare(config: Mapping[str, object], splits: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Draw what is not in the cache yet; yields (done, of) after each section."""
    wanted = list(
        dict.fromkeys(one for split in splits for part in ("train", "validation", "test") for one in getattr(plan_of(config, split), part))
    )
    for done, (patient, seed) in enumerate(wanted, 1):
        if not _place(patient, seed).exists():
            of_section.__wrapped__(patient, seed)
        yield done, len(wanted)


@lru_cache(maxsize=64)
def of_section(patient: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(views uint8 (N, 3, side, side, 3), y float32 (N, G)) of one section."""
    place = _place(patient, seed)
    if place.exists():
        with np.load(place) as kept:
            return kept["views"], kept["y"]
    section = make_section(seed, patient=patient, width_um=WIDTH_UM, height_um=HEIGHT_UM, mpp=MPP)
    xy = section.spots(PITCH_UM, jitter_um=PITCH_UM / 2)
    views, y = cut(section, xy), log_cpm(expression(section, xy))
    stream = io.BytesIO()
    np.savez(stream, views=views, y=y)
    write_atomically(place, stream.getvalue())
    return views, y


def cut(section: Section, xy_um: np.ndarray) -> np.ndarray:
    """Views uint8 (N, 3, side, side, 3) of spots at (N, 2) in µm, in the order given."""
    cutter = Views(PixelSource(section.pixels, section.mpp))
    xy = xy_um / section.mpp
    order = in_order(xy, 4 * FIELD_UM / section.mpp)
    made = np.empty((len(xy), len(LEVELS), SIDE, SIDE, 3), np.uint8)
    made[order] = np.stack(cutter.cut(xy[order], LEVELS), 1)
    return made


def _place(patient: int, seed: int) -> Path:
    key = hashlib.sha256(repr((VERSION, MPP, WIDTH_UM, HEIGHT_UM, PITCH_UM, SIDE, len(GENES), patient, seed)).encode()).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightbox" / "m2ost-spots"
    return base / f"{patient:03d}-{seed}-{key}.npz"
