"""What the frozen picture tower gives: one vector for infusion, patches for the baseline, and three layers for outlines. N pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.shared.backbones.clip import vision
from models.shared.backbones.clip.interface import Clip


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures as the tower sees them, float16 where many are kept."""

    vector: Tensor
    """I (N, d_I): pooled and projected by the tower's own frozen projection."""
    taps: Tensor
    """(N, 3, 1 + P, d_v): outputs of three blocks, the deepest first; class token first."""

    def __len__(self) -> int:
        return len(self.vector)

    def rows(self, rows: Tensor) -> Seen:
        """Some of them, float32."""
        return Seen(self.vector[rows].float(), self.taps[rows].float())

    @property
    def patches(self) -> Tensor:
        """(N, P, d_v): the deepest kept layer without its class token, for the baseline."""
        return self.taps[:, 0, 1:]

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """The taps one by one."""
        return self.taps.unbind(1)


def tapped(layers: int) -> tuple[int, ...]:
    """Which blocks, counted from 1: 18, 12 and 6 of 24 (spec §3.10), in the same proportions, rounded up, elsewhere."""
    return tuple(math.ceil(layers * share / 4) for share in (3, 2, 1))


@torch.no_grad()
def look(clip: Clip, x: Tensor) -> Seen:
    """Pictures (N, 3, S, S) from `clip.preprocess`."""
    tower, wanted = clip.model.visual, tapped(clip.layers)
    tokens, kept = vision.embed(tower, x), {}
    for number, block in enumerate(tower.transformer.resblocks, 1):
        tokens = block(tokens)
        if number in wanted:
            kept[number] = tokens
    return Seen(clip.encode_image(x).float(), torch.stack([kept[number] for number in wanted], dim=1).float())


def look_at_many(clip: Clip, x: Tensor, *, batch: int = 64) -> Seen:
    """The same for many, kept as float16 on the CPU."""
    parts = [look(clip, part.to(clip.device).float()) for part in x.split(batch)]
    return Seen(torch.cat([one.vector.half().cpu() for one in parts]), torch.cat([one.taps.half().cpu() for one in parts]))
