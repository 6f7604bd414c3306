"""Decoders of the task tokens' states (spec §3.8, §3.9), the linear ones of the probe, a small painter, and the losses (spec §4).

Legend: R states read, d width of a state, C width of the tower's tokens, side of an outline, d_I width of the picture feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CANVAS = 32
"""Side of the painter's pictures."""


class Outline(nn.Module):
    """Three tower layers, reduced and summed, FiLM by e after the first, pre-norm transformer layers, 3 × 3 and two transposed convolutions.

    Defaults are the paper's size with its example's feed-forward width of 128 (spec §3.8).
    """

    def __init__(
        self, state: int = 4096, tokens: int = 1024, grid: int = 16, *, width: int = 64, mlp: int = 128, heads: int = 4, out: int = 224, taps: int = 3
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.side = grid, out
        self.reduce = nn.ModuleList(nn.Linear(tokens, width) for _ in range(taps))
        self.multiply, self.add = nn.Linear(state, width), nn.Linear(state, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, mlp, dropout=0.0, activation="relu", batch_first=True, norm_first=True)
            for _ in range(taps)
        )
        self.draw = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 3, 3), nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 2, 3, 3),
        )  # fmt: skip

    def forward(self, e: Tensor, taps: Sequence[Tensor]) -> Tensor:
        """e (R, d); taps: the picture's tower layers once for each state, last block first, each (R, 1 + grid², C). Logits (R, 2, side, side)."""
        x = None
        for number, (reduce, block, tokens) in enumerate(zip(self.reduce, self.blocks, taps, strict=True)):
            x = reduce(tokens) if x is None else x + reduce(tokens)
            if number == 0:
                x = self.multiply(e)[:, None] * x + self.add(e)[:, None]
            x = block(x)
        picture = x[:, 1:].transpose(1, 2).unflatten(-1, (self.grid, self.grid))
        return F.interpolate(self.draw(picture), size=(self.side, self.side), mode="bilinear", align_corners=True)


class Imager(nn.Sequential):
    """State to picture feature: d → d/4 → 3d/4 → d/4 → d_I with ReLU (4096 → 1024 → 3072 → 1024 → 512 in the paper, spec §3.9); `wide` times as wide."""

    def __init__(self, state: int = 4096, feature: int = 512, *, wide: int = 1) -> None:
        a, b = wide * state // 4, wide * 3 * state // 4
        super().__init__(nn.Linear(state, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, a), nn.ReLU(), nn.Linear(a, feature))


class LinearOutline(nn.Module):
    """The probe's: a patch's own tokens, mapped linearly, plus the state, mapped linearly. Nothing in it can bring the two together."""

    def __init__(self, state: int, tokens: int, grid: int, *, out: int, taps: int = 3) -> None:
        super().__init__()
        self.grid, self.side, self.cell = grid, out, out // grid
        self.patch = nn.Linear(taps * tokens, 2 * self.cell**2)
        self.add = nn.Linear(state, 2 * grid * grid)

    def forward(self, e: Tensor, taps: Sequence[Tensor]) -> Tensor:
        """As `Outline`."""
        cells = self.patch(torch.cat([one[:, 1:] for one in taps], dim=-1))  # R grid² 2·cell²
        cells = cells.unflatten(-1, (2, -1)) + self.add(e).unflatten(-1, (-1, 2))[..., None]
        return F.fold(cells.flatten(2).mT, self.cell * self.grid, self.cell, stride=self.cell)


class Painter(nn.Module):
    """A small decoder of picture features to grey pictures, in place of the unreleased generator (spec A9; inferred). It learns from phantoms alone."""

    def __init__(self, feature: int, *, width: int = 32) -> None:
        super().__init__()
        self.start = nn.Linear(feature, width * 2 * 16)
        self.draw = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, width // 2, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 1, 4, 2, 1),
        )  # fmt: skip

    def forward(self, feature: Tensor) -> Tensor:
        """(R, d_I) of any length to (R, 32, 32) in 0…1."""
        x = F.normalize(feature, dim=-1) * feature.shape[-1] ** 0.5
        return self.draw(self.start(x).unflatten(-1, (-1, 4, 4)))[:, 0].sigmoid()


def decoders(kind: str, *, state: int, tokens: int, feature: int, grid: int, side: int, width: int) -> tuple[nn.Module, nn.Module]:
    """What draws outlines and picture features: "full", or "linear" for the probe."""
    if kind == "linear":
        return LinearOutline(state, tokens, grid, out=side), nn.Linear(state, feature)
    return Outline(state, tokens, grid, width=width, mlp=2 * width, out=side), Imager(state, feature, wide=4)


def outline_loss(logits: Tensor, mask: Tensor, *, cross: float = 0.5, dice: float = 0.5) -> Tensor:
    """c1 · cross-entropy weighted 0.9 / 1.1 + c2 · (1 − Dice of the softmax, squared denominator) (spec §4); logits (R, 2, S, S), mask bool (R, S, S)."""
    ce = F.cross_entropy(logits, mask.long(), weight=logits.new_tensor([0.9, 1.1]))
    p, y = logits.softmax(1)[:, 1].flatten(1), mask.flatten(1).to(logits.dtype)
    overlap = (2 * (p * y).sum(1) + 1) / (p.square().sum(1) + y.square().sum(1) + 1)
    return cross * ce + dice * (1 - overlap).mean()


def outline_probability(logits: Tensor) -> Tensor:
    """(R, S, S): of the object."""
    return torch.softmax(logits, 1)[:, 1]


def feature_errors(made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) mean absolute difference of the vectors made of length one, the release's measure, and (R,) their cosine."""
    one, other = F.normalize(made, dim=-1), F.normalize(true, dim=-1)
    return (one - other).abs().mean(-1), (one * other).sum(-1)
