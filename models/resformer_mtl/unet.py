"""The plain U-Net that the method is held against: the same two tasks and losses, none of the paper's parts.

Source: the usual U-Net (arXiv 1505.04597) with batch normalisation and padding. Ours: the class head pools the deepest map through the same two
linear layers as the method's, and maps begin at half the picture's side, as the paper's do, so that a step costs no more than the method's.
Legend as in `network.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.resformer_mtl.config import Config
from models.resformer_mtl.network import Output, Trace


class PlainUNet(nn.Module):
    """Pictures (B, 1 or 3, H, H) to segmentation (B, K, H, H) and class logits (B, L); level i has the method's width and H / 2^i pixels a side."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, widths = config, config.widths
        before = (config.in_channels, *widths[:-1])
        self.down = nn.ModuleList(_double(a, b, stride=1 if level else 2) for level, (a, b) in enumerate(zip(before, widths, strict=True)))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, 2) for deep, width in pairs)
        self.join = nn.ModuleList(_double(2 * width, width) for _, width in pairs)
        self.out = nn.Conv2d(widths[0], config.seg_classes, 1)
        self.head = nn.Sequential(nn.Linear(widths[-1], config.head_width), nn.Linear(config.head_width, config.classes))

    def forward(self, image: Tensor, *, segment: bool = True, classify: bool = True, trace: Trace | None = None) -> Output:
        """As `ResFormerMTL`; `trace` gets the encoder's maps alone."""
        maps, x = [], image
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            maps.append(x)
        if trace is not None:
            trace.stages.extend(maps)
        return Output(self._segment(maps) if segment else None, self.head(x.mean(dim=(2, 3))) if classify else None)

    def _segment(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for up, join, skip in zip(self.up, self.join, reversed(maps[:-1]), strict=True):
            x = join(torch.cat([up(x), skip], dim=1))
        return F.interpolate(self.out(x), scale_factor=2, mode="bilinear", align_corners=True)


def _double(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    """Twice a 3×3 convolution with batch normalisation and ReLU, the first one with a stride."""
    parts: list[nn.Module] = []
    for channels, step in ((before, stride), (after, 1)):
        parts += [nn.Conv2d(channels, after, 3, step, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*parts)
