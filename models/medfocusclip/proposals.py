"""Automatic SAM 2 segments of whole data sets, made once per picture and kept in the cache folder.

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

from models.shared.backbones.segmenter import load_sam2
from models.shared.checkpoints import write_atomically


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
    return cache_folder(settings) / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:24]}.npz"


def make(pictures: Sequence[np.ndarray], settings: GridSettings = GridSettings()) -> Iterator[int]:
    """Segment the pictures (H, W) uint8 that are not in the cache; yields how many are done after each one."""
    missing = [picture for picture in pictures if not place_of(picture, settings).is_file()]
    done = len(pictures) - len(missing)
    if not missing:
        return
    sam = load_sam2(settings.segmenter, image_size=settings.image_size, precision="auto", cache_bytes=1)
    for picture in missing:
        with torch.autocast(sam._model.device.type, torch.bfloat16, enabled=sam.precision == "bfloat16"):
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


def _packed(shape: tuple[int, ...], found: list) -> bytes:
    masks = np.array([one.mask for one in found], dtype=bool).reshape(len(found), *shape)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        masks=np.packbits(masks.reshape(len(found), int(np.prod(shape))), axis=1),
        scores=np.array([one.score for one in found], np.float32),
        stability=np.array([one.stability for one in found], np.float32),
    )
    return file.getvalue()
