"""The network (spec §3): a convolutional hierarchy in whose every block each label's vector looks at the picture, and a head over all scales.

Legend: B pictures, K labels, E width of the label vectors, C_i channels and h_i×w_i places of stage i. V the picture's features, L the labels' vectors,
S the multi-modal features. Sources: the released code as the spec describes it; what it leaves out is marked inferred there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hsvlt.config import Config


@dataclass
class Trace:
    """What a forward pass shows of itself, block by block (and the number of the stage each belongs to)."""

    stage: list[int] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)
    """(B, heads, K, h·w): rows sum to 1."""
    size: list[tuple[int, int]] = field(default_factory=list)
    """(h, w) of each block's map."""
    labels: list[Tensor] = field(default_factory=list)
    """L after the block, (B, K, C)."""
    fused: list[Tensor] = field(default_factory=list)
    """S of the block, (B, K, C)."""
    gates: list[Tensor] = field(default_factory=list)
    """G(L), (B, K, C)."""
    vision: list[Tensor] = field(default_factory=list)
    """V after the block, (B, C, h, w)."""


@dataclass(frozen=True)
class Output:
    """What the network says."""

    logits: Tensor
    """(B, K)."""
    contributions: Tensor
    """(B, K, stages read): what each stage adds to a label's logit; with the bias they sum to it exactly. Zeros for the top-down head."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map (B, C, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Visual(nn.Module):
    """ConvNeXt's block: V + γ ⊙ PW2(GELU(PW1(LN(DW7×7 V))))."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) in and out."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.narrow(F.gelu(self.widen(y)))).permute(0, 3, 1, 2)


class Gate(nn.Module):
    """G(L) = tanh(U2 ReLU(U1 L)), without biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(channels, channels, bias=False), nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        return self.second(self.first(x).relu()).tanh()


class Interaction(nn.Module):
    """Interactive visual-linguistic attention: labels ask places; T ⊙ X becomes S; L grows by S and by its own gate."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.heads, self.fusion = config.heads, config.fusion
        self.query, self.key, self.value = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels)
        self.text, self.mix = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.gate = Gate(channels) if config.gate else None

    def forward(self, vision: Tensor, labels: Tensor, trace: Trace | None = None) -> tuple[Tensor, Tensor]:
        """vision (B, C, h, w), labels (B, K, C): new labels and S, both (B, K, C)."""
        places = vision.flatten(2).transpose(1, 2)  # B hw C
        q, k, v = (self._split(x) for x in (self.query(labels), self.key(places), self.value(places)))
        attention = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        x = self.out((attention @ v).transpose(1, 2).flatten(2))
        fused = F.gelu(self.mix(F.gelu(self.text(labels)) * x if self.fusion == "product" else x))
        labels = labels + fused
        gates = self.gate(labels) if self.gate is not None else torch.zeros_like(labels)
        labels = labels + gates * labels
        if trace is not None:
            trace.attention.append(attention)
            trace.fused.append(fused)
            trace.gates.append(gates)
            trace.labels.append(labels)
        return labels, fused

    def _split(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        return x.view(b, n, self.heads, c // self.heads).transpose(1, 2)


class WriteBack(nn.Module):
    """Words write into the picture's features: V + tanh(U2 ReLU(U1 R)) ⊙ R, R = P_o(softmax(P_q V (P_k L)ᵀ / √C) P_v L); P_o begins at nought (inferred)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels, bias=False)
        self.gate = Gate(channels)

    def forward(self, vision: Tensor, labels: Tensor) -> Tensor:
        """(B, C, h, w) in and out."""
        places = vision.flatten(2).transpose(1, 2)
        attention = (self.query(places) @ self.key(labels).transpose(1, 2) / places.shape[-1] ** 0.5).softmax(-1)
        r = self.out(attention @ self.value(labels))
        return vision + (self.gate(r) * r).transpose(1, 2).view_as(vision)


class Block(nn.Module):
    """The visual block, the way back from words where there is one, and the interaction."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.visual = Visual(channels, config.layer_scale)
        self.back = WriteBack(channels) if config.text_to_vision else None
        self.interaction = Interaction(channels, config)

    def forward(self, vision: Tensor, labels: Tensor, trace: Trace | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """V, L and S after the block."""
        vision = self.visual(vision)
        if self.back is not None:
            vision = self.back(vision, labels)
        labels, fused = self.interaction(vision, labels, trace)
        if trace is not None:
            trace.vision.append(vision)
            trace.size.append(tuple(vision.shape[-2:]))
        return vision, labels, fused


class TopDown(nn.Module):
    """The decoder that the released file holds and does not call: from the coarsest stage to the finest, convolutions of length 3 along the label axis."""

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        before = [0] + [width] * (len(widths) - 1)
        self.mix = nn.ModuleList(nn.Conv1d(c + b, width, 3, padding=1) for c, b in zip(reversed(widths), before, strict=True))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in widths)

    def forward(self, fused: list[Tensor]) -> Tensor:
        """S_i (B, K, C_i), finest first, to (B, K, width)."""
        x: Tensor | None = None
        for mix, norm, s in zip(self.mix, self.norms, reversed(fused), strict=True):
            joined = s if x is None else torch.cat([s, x], dim=-1)
            x = norm(mix(joined.transpose(1, 2)).transpose(1, 2)).relu()
        return x


class HSVLT(nn.Module):
    """Picture and label vectors in, one logit a label out; every label is decided by itself."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.down = nn.ModuleList([nn.Sequential(nn.Conv2d(3, widths[0], config.stem, config.stem), ChannelNorm(widths[0], eps=1e-6))])
        for before, after in pairwise(widths):
            self.down.append(nn.Sequential(ChannelNorm(before, eps=1e-6), nn.Conv2d(before, after, 2, 2)))
        self.align = nn.ModuleList(nn.Linear(a, b) for a, b in zip((config.text_width, *widths[:-1]), widths, strict=True))
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(width, config) for _ in range(depth)) for width, depth in zip(widths, config.depths, strict=True)
        )
        read = tuple(widths[stage - 1] for stage in config.stages)
        self.topdown = TopDown(read, config.topdown_width) if config.aggregate == "topdown" else None
        wide = config.topdown_width if self.topdown is not None else sum(read)
        self.weight, self.bias = nn.Parameter(torch.empty(config.labels, wide)), nn.Parameter(torch.zeros(config.labels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.apply(partial(_begin, spread=config.spread))

    def forward(
        self, image: Tensor, vectors: Tensor, *, trace: Trace | None = None, rows: Tensor | None = None, silent: tuple[int, ...] = ()
    ) -> Output:
        """image (B, 1 or 3, H, W) in 0…1; vectors (K, E). rows: which labels of the head these vectors are, where they are not all; silent: stages whose
        share is left out. H and W are multiples of the coarsest stride."""
        vision = image.expand(-1, 3, -1, -1)
        labels = vectors.expand(len(image), -1, -1)
        kept: list[Tensor] = []
        for number, (down, align, blocks) in enumerate(zip(self.down, self.align, self.stages, strict=True), 1):
            vision, labels = down(vision), align(labels)
            for block in blocks:
                vision, labels, fused = block(vision, labels, trace)
                if trace is not None:
                    trace.stage.append(number)
            if number in self.config.stages:
                kept.append(fused * 0 if number in silent else fused)
        weight, bias = (self.weight, self.bias) if rows is None else (self.weight[rows], self.bias[rows])
        if self.topdown is not None:
            logits = (self.topdown(kept) * weight).sum(-1) + bias
            return Output(logits, logits.new_zeros(*logits.shape, len(kept)))
        parts = weight.split([s.shape[-1] for s in kept], dim=-1)
        shares = torch.stack([(s * w).sum(-1) for s, w in zip(kept, parts, strict=True)], dim=-1)
        return Output(shares.sum(-1) + bias, shares)


def _begin(module: nn.Module, spread: float | None) -> None:
    """Truncated normals and no biases (spec §3.5); the way back from words begins as nothing. Words and picture go through linear layers one after the other
    and are multiplied, so a start too narrow for the width leaves S near nought and gradients below what AdamW still sees."""
    if isinstance(module, WriteBack):  # after its parts, which `apply` meets first
        nn.init.zeros_(module.out.weight)
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=spread or module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
