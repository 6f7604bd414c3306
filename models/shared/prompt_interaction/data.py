"""Pictures with notes as tensors: each phantom with one lesion, and notes that agree, contradict or belong to another picture.

Legend: N pictures, M notes each (the same number of every verdict), T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.shared.backbones.clip.interface import Clip
from models.shared.data import phantoms
from models.shared.data.phantoms.notes import TRAITS, VERDICTS, Note, note

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures ready for the image tower, and their notes."""

    x: Tensor
    """float16 (N, 3, S, S)."""
    tokens: Tensor
    """int64 (N, M, T)."""
    verdict: Tensor
    """int64 (N, M): place in VERDICTS."""
    wrong: np.ndarray
    """int (N, M): place in TRAITS of what is false; -1 where nothing is."""
    texts: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.x)


def pairs(clip: Clip, split: str, n: int, per_verdict: int, *, start: int = 0) -> Pairs:
    """`n` phantoms of a split with one lesion each, families in turn, from the `start`-th seed of each on."""
    found = [item for family in phantoms.families() for item in _single(family, split, -(-n // len(phantoms.families())), start)][:n]
    notes = [_notes(item, per_verdict) for item in found]
    x = torch.cat([clip.preprocess([p.image for p in found[at : at + _CHUNK]]).half() for at in range(0, n, _CHUNK)])
    texts = tuple(tuple(one.text for one in row) for row in notes)
    tokens = clip.tokenize([text for row in texts for text in row])
    length = int((tokens != 0).sum(1).max())
    return Pairs(
        x,
        tokens[:, :length].view(n, -1, length),
        torch.tensor([[VERDICTS.index(one.verdict) for one in row] for row in notes]),
        np.array([[TRAITS.index(one.wrong) if one.wrong else -1 for one in row] for row in notes]),
        texts,
    )


def _single(family: str, split: str, n: int, start: int) -> list[phantoms.Phantom]:
    found: list[phantoms.Phantom] = []
    while len(found) < n:
        drawn = phantoms.batch(family, phantoms.split_seeds(split, 32, start))
        found += [item for item in drawn if len(item.lesions) == 1]
        start += 32
    return found[:n]


def _notes(item: phantoms.Phantom, per_verdict: int) -> list[Note]:
    random = np.random.default_rng([item.seed, 0x907E])
    return [note(item, verdict, random) for verdict in VERDICTS for _ in range(per_verdict)]
