"""What the frozen picture tower gives: three layers' tokens, of which the last enter the language model, and the vector that "draw" has to hit. N pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.shared.backbones.clip import vision
from models.shared.backbones.clip.interface import Clip

SCALE = 4.0
"""What the small tower's vectors are divided by. The release weighs the feature's error ten times, which suits CLIP vectors of its own tower, whose numbers
have a mean square near 0.2; ours has 3 (measured), so that "draw" would drown the other tasks. Directions stay as they are (inferred)."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures as the tower sees them, float16 where many are kept."""

    taps: Tensor
    """(N, 3, 1 + P, d_v): outputs of three blocks, the last first; class token first."""
    feature: Tensor
    """(N, d_I): the tower's vector in the space it shares with texts, not normalised (as released), divided by SCALE."""

    def __len__(self) -> int:
        return len(self.feature)

    def rows(self, rows: Tensor) -> Seen:
        """Some of them, float32."""
        return Seen(self.taps[rows].float(), self.feature[rows].float())

    def to(self, device: torch.device | str) -> Seen:
        """The same elsewhere."""
        return Seen(self.taps.to(device), self.feature.to(device))

    @property
    def tokens(self) -> Tensor:
        """(N, 1 + P, d_v): the last block's output, for the language model (spec §3.1)."""
        return self.taps[:, 0]

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """The taps one by one."""
        return self.taps.unbind(1)


def tapped(layers: int) -> tuple[int, ...]:
    """Which blocks, counted from 1: 24, 18 and 15 of 24 (the released 23, 17 and 14 counted from 0), in the same proportions, rounded up, elsewhere."""
    return tuple(math.ceil(layers * share / 24) for share in (24, 18, 15))


@torch.no_grad()
def look(clip: Clip, x: Tensor) -> Seen:
    """Pictures (N, 3, S, S) from `clip.preprocess`, float32."""
    tower, wanted = clip.model.visual, tapped(clip.layers)
    tokens, kept = vision.embed(tower, x), {}
    for number, block in enumerate(tower.transformer.resblocks, 1):
        tokens = block(tokens)
        if number in wanted:
            kept[number] = tokens
    return Seen(torch.stack([kept[number] for number in wanted], dim=1).float(), clip.encode_image(x).float() / SCALE)


def look_at_many(clip: Clip, x: Tensor, *, batch: int = 64) -> Seen:
    """The same for many, kept as float16 on the CPU."""
    parts = [look(clip, part.to(clip.device).float()) for part in x.split(batch)]
    return Seen(torch.cat([one.taps.half().cpu() for one in parts]), torch.cat([one.feature.half().cpu() for one in parts]))
