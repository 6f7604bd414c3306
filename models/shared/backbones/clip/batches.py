"""One training batch of the small CLIP: pictures varied a little, a caption for each, and which captions are true of which pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.clip.corpus import Source, caption, matches


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures with their captions."""

    pixels: Tensor
    """(B, 1, S, S) in 0…1."""
    texts: list[str]
    targets: Tensor
    """(B, B) float32: 1 where the caption of the column is true of the picture of the row."""
    parts: list[tuple[Source, np.ndarray, Tensor | None]]
    """Each source with its rows and where its lesions are, (rows, 1, 32, 32), moved as the pictures were."""

    @classmethod
    def of(cls, drawn: Sequence[tuple[Source, np.ndarray]], rng: np.random.Generator) -> Batch:
        """Captions, variations and truth for the rows drawn of each source."""
        texts, truth, pixels, parts = [], [], [], []
        for source, rows in drawn:
            made = [caption(source, int(row), rng) for row in rows]
            texts += [words for words, _ in made]
            truth.append(torch.from_numpy(matches(source, rows, [claim for _, claim in made])).float())
            x = torch.from_numpy(source.images[rows]).float()[:, None] / 255
            where = None if source.where is None else torch.from_numpy(source.where[rows]).float()[:, None] / 255
            x, where = varied(x, where, source.kind == "real", rng)
            pixels.append(x)
            parts.append((source, rows, where))
        return cls(torch.cat(pixels), texts, torch.block_diag(*truth), parts)


def varied(x: Tensor, where: Tensor | None, mirror: bool, rng: np.random.Generator) -> tuple[Tensor, Tensor | None]:
    """Small shifts, zooms, turns and changes of grey of (B, 1, S, S), lesions moved along; mirrored at random only where no caption speaks of sides."""
    b = len(x)
    angle, zoom = torch.from_numpy(rng.uniform(-0.1, 0.1, b)), torch.from_numpy(rng.uniform(0.92, 1.08, b))
    shift = torch.from_numpy(rng.uniform(-0.08, 0.08, (b, 2)))
    flip = torch.from_numpy(np.where(mirror & (rng.random(b) < 0.5), -1.0, 1.0))
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    theta = torch.stack([torch.stack([cos * flip, -sin, shift[:, 0]], 1), torch.stack([sin * flip, cos, shift[:, 1]], 1)], 1).float()
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    if where is not None:
        where = F.grid_sample(where, F.affine_grid(theta, list(where.shape), align_corners=False), align_corners=False)
    gamma, gain = (torch.from_numpy(rng.uniform(0.85, 1.15, (b, 1, 1, 1))).float() for _ in range(2))
    return (x.clamp_min(1e-4) ** gamma * gain).clamp(0, 1), where
