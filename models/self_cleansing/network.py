"""The segmentation network: a small U-Net whose last feature map is handed out too, and the teacher, its moving average (spec §3; inferred).

The paper's backbone was not read. Legend: B pictures, C classes (background first), d channels of the last feature map, H × W pixels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Output:
    """What the network says."""

    logits: Tensor
    """(B, C, H, W)."""
    features: Tensor
    """(B, d, H, W): before the last 1×1 convolution."""


class UNet(nn.Module):
    """Two convolutions a scale, halved by pooling, doubled by bilinear resizing, joined by concatenation.

    `widths`: channels of each scale. ValueError when a picture's side cannot be halved often enough.
    """

    def __init__(self, classes: int, channels: int = 1, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        self.classes, self.channels, self.widths = classes, channels, tuple(widths)
        ins = (channels, *widths[:-1])
        self.down = nn.ModuleList(_double(a, b) for a, b in zip(ins, widths, strict=True))
        self.up = nn.ModuleList(_double(deep + skip, skip) for skip, deep in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Output:
        """x (B, channels, H, W) in 0…1."""
        unit = 1 << (len(self.widths) - 1)
        if x.shape[-1] % unit or x.shape[-2] % unit:
            raise ValueError(f"A picture's sides must be multiples of {unit}, not {tuple(x.shape[-2:])}.")
        skips = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), skips.pop()], dim=1))
        return Output(self.head(x), x)


def _double(ins: int, outs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (ins, outs):
        layers += [nn.Conv2d(width, outs, 3, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Teacher:
    """θ' ← m θ' + (1 − m) θ after every step; running means of the norms are copied. With m = 0 it is the student."""

    def __init__(self, student: UNet, decay: float) -> None:
        self.net, self.decay = copy.deepcopy(student).eval().requires_grad_(False), decay
        self._pairs = list(self.net.parameters()), list(student.parameters())
        self._buffers = list(self.net.buffers()), list(student.buffers())

    @torch.no_grad()
    def follow(self) -> None:
        """One step of the average."""
        torch._foreach_lerp_(self._pairs[0], self._pairs[1], 1 - self.decay)
        torch._foreach_copy_(*self._buffers)


def build(classes: int, channels: int, widths: tuple[int, ...], seed: int) -> UNet:
    """An untrained network; the same seed gives the same numbers, whatever else is going on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return laid_out(UNet(classes, channels, widths))


def laid_out(net: UNet) -> UNet:
    """The same network with channels last in memory: a processor answers and trains a third faster."""
    return net.to(memory_format=torch.channels_last)


@torch.no_grad()
def probabilities(net: UNet, x: Tensor, *, batch: int = 32) -> Tensor:
    """Softmax of pictures (N, channels, H, W) as (N, C, H, W), in answering mode; the mode is put back afterwards.

    Few pictures at a time: a processor's cache holds their maps.
    """
    training, device = net.training, next(net.parameters()).device
    net.eval()
    found = torch.cat([net(part.to(device)).logits.softmax(dim=1) for part in x.split(batch)])
    net.train(training)
    return found
