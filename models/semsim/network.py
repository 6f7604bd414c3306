"""The network: a plain U-Net that answers, and beside it the Spatial-aware Fusion Module, which gives features to the losses in training alone.

Source: arXiv 2410.13486, section on the fusion module and equations 14 to 17; the U-Net is that of SSL4MIS, which has the paper's 1.81 million numbers.
Number of windows, heads, hidden width and kernel sizes are not given (inferred, see `config.py`). Known deviations: `deviations.py`.
Legend: B pictures, C classes, H side, D channels, S windows a side, stage i at H / 2^(i−1), h side of the fused features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.semsim.config import Config


class Output(NamedTuple):
    """What one pass gives."""

    logits: Tensor
    """(B, C, H, H)."""
    features: Tensor | None
    """(B, D, h, h), not below 0; None when not asked for."""


class SemSim(nn.Module):
    """Pictures (B, 1 or 3, H, H) to logits; with `features=True` the fused features too. Answering runs encoder and decoder alone."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        # The U-Net first: with the same seed it begins with the same numbers whatever stands beside it.
        self.unet = UNet(config)
        if config.fusion == "sfm":
            self.fusion = SpatialFusion(config)
        elif config.fusion == "conv":
            self.fusion = PlainFusion(config)
        else:
            self.fusion = None

    def forward(self, image: Tensor, *, features: bool = False, drop_channels: float = 0.0, answer: int | None = None) -> Output:
        """`drop_channels`: share of the encoder's channels that the decoder does not get, picture by picture (feature-level perturbation).

        `answer`: how many pictures, from the first, are decoded; the others give features alone. None: all.
        """
        maps = self.unet.encode(image)
        fused = self.fusion(maps) if features and self.fusion is not None else None
        if answer is not None:
            maps = [x[:answer] for x in maps]
        if drop_channels:
            maps = [F.dropout2d(x, drop_channels, training=True) for x in maps]
        return Output(self.unet.decode(maps), fused)


class UNet(nn.Module):
    """The 2-D U-Net of SSL4MIS: convolutions with batch normalisation and LeakyReLU, bilinear enlarging, a 3×3 convolution at the end."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        before = (config.in_channels, *widths[:-1])
        self.down = nn.ModuleList(_block(a, b, p) for a, b, p in zip(before, widths, config.dropouts, strict=True))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # (deep, shallow), deepest first
        self.squeeze = nn.ModuleList(nn.Conv2d(deep, shallow, 1) for deep, shallow in pairs)
        self.join = nn.ModuleList(_block(2 * shallow, shallow, 0.0) for _, shallow in pairs)
        self.out = nn.Conv2d(widths[0], config.classes, 3, padding=1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """(B, 1 or 3, H, H) to each stage's map (B, widths[i], H / 2^i, H / 2^i)."""
        maps = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            maps.append(x)
        return maps

    def decode(self, maps: list[Tensor]) -> Tensor:
        """The stages' maps to logits (B, C, H, H)."""
        x = maps[-1]
        for squeeze, join, skip in zip(self.squeeze, self.join, reversed(maps[:-1]), strict=True):
            x = F.interpolate(squeeze(x), scale_factor=2, mode="bilinear", align_corners=True)
            x = join(torch.cat([skip, x], dim=1))
        return self.out(x)


def _block(before: int, after: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(after, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(),
    )


class SpatialFusion(nn.Module):
    """The Spatial-aware Fusion Module (equations 14 to 17): three stages, cut into the same S × S windows, attend to each other within a window."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scales, self.windows, self.side = config.scales, config.windows, config.feature_side
        d = config.dim
        self.project = nn.ModuleList(nn.Conv2d(config.widths[scale - 1], d, 1) for scale in config.scales)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, config.heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, config.mlp), nn.GELU(), nn.Linear(config.mlp, d))
        self.fuse = nn.Sequential(
            nn.Conv2d(3 * d, d, 3, padding=1, bias=False),
            nn.BatchNorm2d(d),
            nn.ReLU(),
            nn.Conv2d(d, d, 3, padding=1, bias=False),
            nn.BatchNorm2d(d),
            nn.ReLU(),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """All stages' maps to f~ (B, D, h, h)."""
        projected = [layer(maps[scale - 1]) for layer, scale in zip(self.project, self.scales, strict=True)]
        return self.join(self.interact(projected))

    def interact(self, projected: list[Tensor]) -> list[Tensor]:
        """Three maps (B, D, side_i, side_i) to the same, after attention within windows (equation 15)."""
        tokens = cut(projected, self.windows)
        tokens = self._attended(self.norm1(tokens)) + tokens
        tokens = self.mlp(self.norm2(tokens)) + tokens
        return split(tokens, [x.shape[-1] for x in projected], self.windows)

    def _attended(self, tokens: Tensor) -> Tensor:
        """Multi-head self-attention of (windows, tokens, D). Written out: a processor's fused kernel takes twice as long for heads this narrow."""
        count, n, d = tokens.shape
        heads = self.attention.num_heads
        made = F.linear(tokens, self.attention.in_proj_weight, self.attention.in_proj_bias)
        q, k, v = made.view(count, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
        weights = (q * (d // heads) ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
        return self.attention.out_proj((weights @ v).transpose(1, 2).reshape(count, n, d))

    def join(self, maps: list[Tensor]) -> Tensor:
        """Three maps to the middle one's size, side by side, through the fusing convolutions (equation 17)."""
        return self.fuse(torch.cat([_resized(x, self.side) for x in maps], dim=1))


class PlainFusion(nn.Module):
    """SemSim-minus: one plain convolution of the middle stage instead of the fusion module (which one is not given; 1×1 here, inferred)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scales[1]
        self.project = nn.Sequential(
            nn.Conv2d(config.widths[self.scale - 1], config.dim, 1, bias=False), nn.BatchNorm2d(config.dim), nn.ReLU()
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """All stages' maps to features (B, D, h, h)."""
        return self.project(maps[self.scale - 1])


def cut(maps: list[Tensor], windows: int) -> Tensor:
    """Patch matching: maps (B, D, side_i, side_i) to (B·S², tokens, D); a window's tokens of all scales stand in one sequence, scale after scale."""
    parts = []
    for x in maps:
        b, d, side, _ = x.shape
        w = side // windows
        parts.append(x.reshape(b, d, windows, w, windows, w).permute(0, 2, 4, 3, 5, 1).reshape(b * windows**2, w * w, d))
    return torch.cat(parts, dim=1)


def split(tokens: Tensor, sides: list[int], windows: int) -> list[Tensor]:
    """The inverse of `cut`, for maps of these sides."""
    d, b = tokens.shape[-1], len(tokens) // windows**2
    maps = []
    for side, part in zip(sides, tokens.split([(side // windows) ** 2 for side in sides], dim=1), strict=True):
        w = side // windows
        maps.append(part.reshape(b, windows, windows, w, w, d).permute(0, 5, 1, 3, 2, 4).reshape(b, d, side, side))
    return maps


def _resized(x: Tensor, side: int) -> Tensor:
    return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def parameter_parts(net: SemSim) -> dict[str, int]:
    """Numbers of the U-Net, which answers, and of the fusion, which only training needs."""
    return {
        "unet": sum(p.numel() for p in net.unet.parameters()),
        "fusion": 0 if net.fusion is None else sum(p.numel() for p in net.fusion.parameters()),
    }
