"""Automatic SAM 2 segments of whole data sets, made once per picture and kept in the cache folder, and read again from there.

Each picture has a small file named by the hash of its pixels and of the segmenter's settings, so a stopped run goes on where it was and
a changed setting never meets old masks. Grid and thresholds differ from the package's (32 × 32, 0.8, 0.95): on scans of 128 px those give
one segment or none for most pictures, at forty times the cost on a CPU.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.medfocusclip.segments import Segment, make_segment
from models.shared.backbones.segmenter import Proposal, load_sam2
from models.shared.checkpoints import write_atomically

PRECISION = "auto"
"""Of the segmenter: bfloat16 where that is faster. Segments of borderline score may then differ from machine to machine."""


@dataclass(frozen=True)
class GridSettings:
    """How the automatic segments are made."""

    segmenter: str = "sam2_hiera_tiny"
    image_size: int = 512
    points_per_side: int = 4
    score_threshold: float = 0.6
    stability_threshold: float = 0.8
    overlap_threshold: float = 0.7

    @property
    def key(self) -> str:
        """Short hash that names these settings."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def cache_folder(settings: GridSettings) -> Path:
    """Where masks made with these settings are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lightbox" / "proposals" / f"{settings.segmenter}-{settings.image_size}-{settings.key}"


def place_of(picture: np.ndarray, settings: GridSettings) -> Path:
    """The file that holds, or will hold, the segments of one picture (H, W) uint8."""
    picture = np.ascontiguousarray(picture)
    return cache_folder(settings) / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:24]}.npz"


def is_ready(picture: np.ndarray, settings: GridSettings = GridSettings()) -> bool:
    """Whether this picture's segments are in the cache."""
    return place_of(picture, settings).is_file()


def read(picture: np.ndarray, settings: GridSettings = GridSettings()) -> list[Segment]:
    """The kept segments of one picture (H, W) uint8, the largest first. FileNotFoundError when `make` has not met it yet."""
    place = place_of(picture, settings)
    if not place.is_file():
        raise FileNotFoundError("The segments of this picture have not been made yet; run the training again, which makes them first.")
    return _unpacked(place.read_bytes(), picture.shape)


def make(pictures: Sequence[np.ndarray], settings: GridSettings = GridSettings()) -> Iterator[int]:
    """Segment the pictures (H, W) uint8 that are not in the cache; yields how many are done after each one."""
    missing = [picture for picture in pictures if not is_ready(picture, settings)]
    done = len(pictures) - len(missing)
    if not missing:
        return
    sam = load_sam2(settings.segmenter, image_size=settings.image_size, precision=PRECISION, cache_bytes=1)
    for picture in missing:
        if not is_ready(picture, settings):  # another run may have been here meanwhile
            with torch.autocast("cpu", torch.bfloat16, enabled=sam.precision == "bfloat16"):
                found = sam.automatic(
                    picture,
                    points_per_side=settings.points_per_side,
                    score_threshold=settings.score_threshold,
                    stability_threshold=settings.stability_threshold,
                    overlap_threshold=settings.overlap_threshold,
                )
            write_atomically(place_of(picture, settings), _packed(picture.shape, found))
        done += 1
        yield done


def _packed(shape: tuple[int, ...], found: Sequence[Proposal | Segment]) -> bytes:
    masks = np.array([one.mask for one in found], dtype=bool).reshape(len(found), *shape)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        masks=np.packbits(masks.reshape(len(found), int(np.prod(shape))), axis=1),
        scores=np.array([one.score for one in found], np.float32),
        stability=np.array([one.stability for one in found], np.float32),
    )
    return file.getvalue()


def _unpacked(data: bytes, shape: tuple[int, ...]) -> list[Segment]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        masks = np.unpackbits(file["masks"], axis=1, count=int(np.prod(shape))).reshape(-1, *shape).astype(bool)
        rows = zip(masks, file["scores"], file["stability"], strict=True)
        return [make_segment(mask, score=float(score), stability=float(stability), source="sam2") for mask, score, stability in rows]
