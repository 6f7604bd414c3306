"""ResFormer-MTL: one encoder of residual and window-attention stages for a segmentation and a diagnosis (arXiv 2412.00351).

Read top-down: residual trunk and token path make the `Encoder`; `FeatureEnhancement` (the paper's DFE) refines what the `Decoder` gets; the
`Classifier` pools deep stages. Source: the spec of this room, which describes the published code; nothing is copied from it. Decisions stand in
`deviations.py`. The trunk's names are torchvision's, so that ResNet-34 weights can be laid in.

Legend: B pictures, H side, C channels, S side of a map, N = S² tokens, K segmentation channels, L classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from models.resformer_mtl.config import STAGES, Config
from models.resformer_mtl.layers import Embedding, Merging, SwinBlock, as_map, as_tokens


@dataclass(eq=False)
class Trace:
    """What a forward pass leaves behind for people to look at; lists are in the order of the stages."""

    conv: list[Tensor] = field(default_factory=list)
    """(B, C, S, S): the residual stage's own output."""
    tokens: list[Tensor] = field(default_factory=list)
    """(B, C, S, S): what embedding or merging adds (sequential), or what the window attention adds (parallel)."""
    stages: list[Tensor] = field(default_factory=list)
    """(B, C, S, S): f1 … f4."""
    attention: list[list[Tensor]] = field(default_factory=list)
    """For each stage its two blocks' weights (B·n, h, M, M)."""
    branches: list[list[Tensor]] = field(default_factory=list)
    """For each enhanced scale its four branches (B, C, S, S): 1×1 and the three dilations."""
    spatial: list[Tensor] = field(default_factory=list)
    """For each enhanced scale the spatial attention (B, 1, S, S) in 0…1."""


class Encoder(nn.Module):
    """Pictures (B, 1 or 3, H, H) to f1 … f4, (B, C_i, S_i, S_i) (spec §2.1, 2.2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, widths = config, config.widths
        self.conv1 = nn.Conv2d(config.in_channels, widths[0], 7, config.stem_stride, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1, self.layer2, self.layer3, self.layer4 = (_residual(config, stage) for stage in range(STAGES))
        if config.transformer:
            self.embedding = Embedding(config.in_channels, widths[0], config.kernels, config.stride)
            self.merging = nn.ModuleList(Merging(width) for width in widths[:-1])
            self.swin = nn.ModuleList(_swin(config, stage) for stage in range(STAGES))

    def forward(self, image: Tensor, trace: Trace | None = None) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)  # B C1 S1 S1
        found: list[Tensor] = []
        for stage in range(STAGES):
            conv = getattr(self, f"layer{stage + 1}")(x)
            x = self._with_tokens(stage, image, x, conv, trace) if self.config.transformer else conv
            found.append(x)
            if trace is not None:
                trace.conv.append(conv)
                trace.stages.append(x)
        return found

    def _with_tokens(self, stage: int, image: Tensor, before: Tensor, conv: Tensor, trace: Trace | None) -> Tensor:
        """The stage's output: Swin(conv + tokens), or conv + Swin(tokens) in the parallel wiring."""
        tokens = self.embedding(image) if stage == 0 else self.merging[stage - 1](as_tokens(before))
        sequential = self.config.wiring == "sequential"
        seen: list[Tensor] | None = None if trace is None else []
        mixed = as_tokens(conv) + tokens if sequential else tokens
        for block in self.swin[stage]:
            mixed = block(mixed, seen)
        if trace is not None:
            trace.tokens.append(as_map(tokens if sequential else mixed))
            trace.attention.append(seen)
        return as_map(mixed) if sequential else conv + as_map(mixed)


def _residual(config: Config, stage: int) -> nn.Sequential:
    """ResNet's basic blocks; from stage 2 on the first one halves the map."""
    before, width = config.widths[max(stage - 1, 0)], config.widths[stage]
    stride = 1 if stage == 0 else 2
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    rest = (BasicBlock(width, width) for _ in range(config.blocks[stage] - 1))
    return nn.Sequential(BasicBlock(before, width, stride, shortcut), *rest)


def _swin(config: Config, stage: int) -> nn.ModuleList:
    """A regular and a shifted block; drop-path rises over all blocks of the encoder."""
    last = 2 * STAGES - 1
    made = (
        SwinBlock(
            config.widths[stage],
            config.sides[stage],
            config.window_side,
            config.heads[stage],
            shifted=place == 1,
            drop_path=config.drop_path * (2 * stage + place) / last,
            layout=config.eca_layout,
        )
        for place in range(2)
    )
    return nn.ModuleList(made)


class FeatureEnhancement(nn.Module):
    """The paper's DFE: one plain and three dilated branches, joined, a shortcut added, weighted by place. (B, C, S, S) to the same (spec §2.5)."""

    def __init__(self, channels: int, rates: tuple[int, int, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_conv(channels, channels, 1, relu=True), *(_conv(channels, channels, 3, dilation=rate, relu=True) for rate in rates)]
        )
        self.join = _conv(4 * channels, channels, 3)
        self.shortcut = _conv(channels, channels, 1)
        self.place = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor, trace: Trace | None = None) -> Tensor:
        branches = [branch(x) for branch in self.branches]
        joined = F.relu(self.join(torch.cat(branches, dim=1)) + self.shortcut(x))
        spatial = self.place(torch.cat([joined.mean(1, keepdim=True), joined.amax(1, keepdim=True)], dim=1)).sigmoid()  # B 1 S S
        if trace is not None:
            trace.branches.append(branches)
            trace.spatial.append(spatial)
        return joined * spatial


def _conv(before: int, after: int, kernel: int, *, dilation: int = 1, relu: bool = False) -> nn.Sequential:
    """A convolution that keeps the map's size, with batch normalisation and, if asked for, ReLU."""
    parts = [nn.Conv2d(before, after, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*parts, *([nn.ReLU()] if relu else []))


class Classifier(nn.Module):
    """Pools the chosen stages, deepest first, through two linear layers without an activation between them (spec §2.4). To logits (B, L)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scales = sorted(config.scales, reverse=True)
        widths = [config.widths[scale - 1] for scale in self.scales]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.hidden, self.out = nn.Linear(sum(widths), config.head_width), nn.Linear(config.head_width, config.classes)
        for linear in (self.hidden, self.out):
            nn.init.xavier_normal_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, stages: list[Tensor]) -> Tensor:
        pooled = [F.relu(norm(stages[scale - 1])).mean(dim=(2, 3)) for scale, norm in zip(self.scales, self.norms, strict=True)]
        return self.out(self.hidden(torch.cat(pooled, dim=1)))


class Decoder(nn.Module):
    """From the deepest map up: 2×2 transposed convolution, the skip beside it, 3×3 convolution; at last to full size (spec §2.6).

    Maps (B, C_i, S_i, S_i), shallowest first, to logits (B, K, H, H).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        pairs = list(zip(config.widths[:0:-1], config.widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, 2) for deep, width in pairs)
        self.join = nn.ModuleList(_conv(2 * width, width, 3, relu=True) for _, width in pairs)
        self.out = nn.Conv2d(config.widths[0], config.seg_classes, 1, bias=False)
        self.stride = config.stride

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for up, join, skip in zip(self.up, self.join, reversed(maps[:-1]), strict=True):
            x = join(torch.cat([up(x), skip], dim=1))
        # The 1×1 convolution and the enlarging are both linear: in this order the result is the same and the work a K/C-th.
        return F.interpolate(self.out(x), scale_factor=self.stride, mode="bilinear", align_corners=True)


@dataclass(frozen=True)
class Output:
    """Both tasks' logits; a task that was not asked for is None."""

    seg: Tensor | None
    """(B, K, H, H)."""
    cls: Tensor | None
    """(B, L)."""


class ResFormerMTL(nn.Module):
    """The whole network: pictures (B, 1 or 3, H, H), float32, to segmentation and class logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.classifier = Classifier(config)
        enhanced = {"all": STAGES, "skips": STAGES - 1, "off": 0}[config.dfe]
        self.dfe = nn.ModuleList(FeatureEnhancement(config.widths[stage], config.stage_rates[stage]) for stage in range(enhanced))
        self.decoder = Decoder(config)

    def forward(self, image: Tensor, *, segment: bool = True, classify: bool = True, trace: Trace | None = None) -> Output:
        """A task that is not asked for costs nothing beyond the encoder. ValueError for pictures of another size."""
        side = self.config.side
        if image.ndim != 4 or image.shape[1:] != (self.config.in_channels, side, side):
            raise ValueError(f"This network reads pictures of {self.config.in_channels}×{side}×{side}; these are {tuple(image.shape[1:])}.")
        stages = self.encoder(image, trace)
        seg = self._segment(stages, trace) if segment else None
        return Output(seg, self.classifier(stages) if classify else None)

    def _segment(self, stages: list[Tensor], trace: Trace | None) -> Tensor:
        maps = [module(x, trace) for module, x in zip(self.dfe, stages, strict=False)]
        return self.decoder(maps + stages[len(maps) :])


def parameter_parts(net: ResFormerMTL) -> dict[str, int]:
    """Parameters by part, as the spec counts them: trunk, swin, tokens (embedding and merging), decoder, dfe, head."""
    counts = dict.fromkeys(("trunk", "swin", "tokens", "decoder", "dfe", "head"), 0)
    homes = {"swin": "swin", "embedding": "tokens", "merging": "tokens"}
    for name, parameter in net.named_parameters():
        top, _, rest = name.partition(".")
        part = {"classifier": "head", "encoder": homes.get(rest.split(".")[0], "trunk")}.get(top, top)
        counts[part] += parameter.numel()
    return counts


def copy_resnet34(net: ResFormerMTL, state: Mapping[str, Tensor]) -> int:
    """Lay torchvision's ResNet-34 weights into the trunk where names and shapes agree; returns how many numbers were taken."""
    own = net.encoder.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    net.encoder.load_state_dict(fitting, strict=False)
    return sum(tensor.numel() for tensor in fitting.values())
