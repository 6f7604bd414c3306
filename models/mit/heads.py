"""The two heads on z (spec §3.10, §3.11): a class of the text beside the picture, and an outline drawn from the frozen picture tower's layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Verdict(nn.Module):
    """Linear(d → K); not released, inferred."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, classes)

    def forward(self, z: Tensor) -> Tensor:
        """(B, d) to logits (B, K)."""
        return self.out(z)


class Outline(nn.Module):
    """The released transformer decoder: three tower layers reduced and summed, FiLM by z after the first, then 3×3 and two transposed convolutions.

    Defaults are the paper's size: 1,620,642 numbers (spec §3). Heads: 4, as 6 does not divide the width (spec A6).
    """

    def __init__(
        self,
        z: int = 4096,
        tokens: int = 1024,
        grid: int = 24,
        *,
        width: int = 64,
        mlp: int = 2048,
        heads: int = 4,
        classes: int = 2,
        out: int = 480,
        taps: int = 3,
    ) -> None:
        super().__init__()
        self.grid, self.side = grid, out
        self.reduce = nn.ModuleList(nn.Linear(tokens, width) for _ in range(taps))
        self.multiply, self.add = nn.Linear(z, width), nn.Linear(z, width)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, mlp, dropout=0.0, batch_first=True) for _ in range(taps))
        self.draw = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 3, 3), nn.ReLU(),
            nn.ConvTranspose2d(width // 2, classes, 3, 3),
        )  # fmt: skip

    def forward(self, z: Tensor, taps: Sequence[Tensor]) -> Tensor:
        """z (B, d); taps: the tower's layers, deepest first, each (B, 1 + grid², C), class token first. Logits (B, classes, out, out)."""
        x = None
        for number, (reduce, block, tokens) in enumerate(zip(self.reduce, self.blocks, taps, strict=True)):
            x = reduce(tokens) if x is None else x + reduce(tokens)
            if number == 0:
                x = self.multiply(z)[:, None] * x + self.add(z)[:, None]
            x = block(x)
        picture = x[:, 1:].transpose(1, 2).unflatten(-1, (self.grid, self.grid))
        return F.interpolate(self.draw(picture), size=(self.side, self.side), mode="bilinear", align_corners=True)


def outline_loss(logits: Tensor, mask: Tensor, *, weights: tuple[float, float] = (0.9, 1.1)) -> Tensor:
    """Cross-entropy weighted background/object as released, plus soft Dice with squared denominators (spec §4); logits (B, 2, S, S), mask bool (B, S, S)."""
    cross = F.cross_entropy(logits, mask.long(), weight=logits.new_tensor(weights))
    p, y = logits.softmax(1)[:, 1].flatten(1), mask.flatten(1).to(logits.dtype)
    dice = 1 - (2 * (p * y).sum(1) + 1) / (p.square().sum(1) + y.square().sum(1) + 1)
    return cross + dice.mean()


def outline_probability(logits: Tensor) -> Tensor:
    """(B, S, S): of the object."""
    return torch.softmax(logits, 1)[:, 1]
