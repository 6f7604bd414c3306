"""M2OST as modules (arXiv 2409.15092): three nested views of one spot, decoupled mixing within views, between views and between channels.

Two profiles. "repo" is the released file's class, weight for weight, with the one line mended that makes it crash (see `centre`). "paper" is what the
text describes: normalisation before attention, a residual around the mixing between views, one learned weight for each pair of views.

Shapes: B batch, V views in use, S side of a view in pixels, P base patch, L = (S/P)² patches a group, d width, H heads, e width of a head, G genes.
View k holds k + 1 groups of patches, the finest (over the spot itself) first, so (k + 1)·L + 1 tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Profile = Literal["repo", "paper"]


@dataclass(frozen=True)
class Inside:
    """What a forward pass did, for people to look at."""

    attention: list[Tensor] = field(repr=False)
    """Per view (B, blocks, H, tokens): what the class token draws from every token in each block."""
    listens: Tensor | None = field(repr=False)
    """(B, blocks, V, V): share of view i's cross attention that goes to view j; the diagonal is 0. None with one view or without CTMM."""
    gates: Tensor | None = field(repr=False)
    """(B, blocks, V, d): sigmoid gates g; channels are multiplied by 1 + g. None without CCMM."""


class PatchEmbedding(nn.Module):
    """E_k: cut into patches, LN, Linear, GELU, Linear, LN. (B, 3, S, S) → (B, (S/patch)², d)."""

    def __init__(self, patch: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.patch = patch
        flat = 3 * patch * patch
        self.net = nn.Sequential(nn.LayerNorm(flat), nn.Linear(flat, hidden), nn.GELU(), nn.Linear(hidden, dim), nn.LayerNorm(dim))

    def forward(self, image: Tensor) -> Tensor:
        b, c, h, w = image.shape
        p = self.patch
        patches = image.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)
        return self.net(patches)


def centre(image: Tensor, share: int) -> Tensor:
    """The middle 1/share of (B, 3, S, S). The released code takes a lower bound of 3S/8 but an upper one of 3S/4 for share 4, and crashes."""
    side = image.shape[-1]
    low = (side - side // share) // 2
    return image[..., low : low + side // share, low : low + side // share]


class ITMM(nn.Module):
    """Within a view: multi-head self-attention with weights of its own for each view, then one MLP shared by all views."""

    def __init__(self, views: int, dim: int, heads: int, head_dim: int, profile: Profile, random_mask: float) -> None:
        super().__init__()
        self.heads, self.head_dim, self.prenorm, self.random_mask = heads, head_dim, profile == "paper", random_mask
        inner = heads * head_dim
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(views))  # built but never called in the released file
        self.qkv = nn.ModuleList(nn.Linear(dim, 3 * inner, bias=False) for _ in range(views))
        self.out = nn.ModuleList(nn.Linear(inner, dim) for _ in range(views))
        self.mlp_norm, self.mlp_in, self.mlp_out = nn.LayerNorm(dim), nn.Linear(dim, 2 * dim // 3), nn.Linear(2 * dim // 3, dim)

    def forward(self, tokens: list[Tensor], seen: list[Tensor] | None) -> list[Tensor]:
        """`seen` receives (B, H, tokens) of the class token for each view."""
        made = []
        for k, s in enumerate(tokens):
            x = self.norms[k](s) if self.prenorm else s
            q, key, v = _split(self.qkv[k](x), self.heads, self.head_dim)
            s = s + self.out[k](_join(self._attend(q, key, v, seen)))
            made.append(s + F.gelu(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(s))))))
        return made

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, seen: list[Tensor] | None) -> Tensor:
        mask = random_mask(q.shape[-2], self.random_mask, q.device) if self.training and self.random_mask > 0 else None
        if seen is not None:
            seen.append((q[:, :, :1] @ k.transpose(-1, -2) / math.sqrt(self.head_dim)).softmax(-1)[:, :, 0])
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def random_mask(tokens: int, p: float, device: torch.device | str = "cpu") -> Tensor:
    """(tokens, tokens) bool, True where attention is allowed: each pair is hidden with probability p, never the diagonal, never the class token's column (inferred)."""
    allowed = torch.rand(tokens, tokens, device=device) >= p
    allowed[:, 0] = True
    return allowed.fill_diagonal_(True)


class CTMM(nn.Module):
    """Between views: every view asks each other view, O_ij = softmax(Q_i K_jᵀ / √e) V_j."""

    def __init__(self, views: int, dim: int, heads: int, head_dim: int, profile: Profile) -> None:
        super().__init__()
        self.heads, self.head_dim, self.profile = heads, head_dim, profile
        inner = heads * head_dim
        if profile == "paper" and inner != dim:
            raise ValueError(f"The paper's mixing has no output layer, so heads × head_dim must be the width {dim}, not {inner}.")
        self.norm = nn.LayerNorm(dim)
        self.q, self.k, self.v = (nn.ModuleList(nn.Linear(dim, inner, bias=False) for _ in range(views)) for _ in range(3))
        if profile == "repo":
            self.out = nn.ModuleList(nn.Linear((views - 1) * inner, dim) for _ in range(views))
        else:
            self.weight = nn.Parameter(torch.full((views, views - 1), 1 / (views - 1)))

    def forward(self, tokens: list[Tensor], listens: list[Tensor] | None, off: Sequence[int] = ()) -> list[Tensor]:
        """off: views that nobody may listen to. `listens` receives (B, V, V)."""
        normed = [self.norm(s) for s in tokens]
        q, k, v = (
            [_heads(layer(x), self.heads, self.head_dim) for layer, x in zip(layers, normed, strict=True)]
            for layers in (self.q, self.k, self.v)
        )
        made, shares = [], []
        for i, s in enumerate(tokens):
            others = [j for j in range(len(tokens)) if j != i]
            each = [_join(F.scaled_dot_product_attention(q[i], k[j], v[j])) for j in others]
            each = [torch.zeros_like(one) if j in off else one for one, j in zip(each, others, strict=True)]
            if self.profile == "repo":
                made.append(self.out[i](torch.cat(each, -1)))
            else:
                made.append(s + sum(self.weight[i, place] * one for place, one in enumerate(each)))
            if listens is not None:
                shares.append(self._shares(i, others, each))
        if listens is not None:
            listens.append(torch.stack(shares, 1))
        return made

    def _shares(self, i: int, others: list[int], each: list[Tensor]) -> Tensor:
        """(B, V): length of what view i takes from each other view, as shares."""
        if self.profile == "repo":
            parts = self.out[i].weight.chunk(len(others), 1)
            lengths = [(one @ part.T).norm(dim=-1).mean(1) for one, part in zip(each, parts, strict=True)]
        else:
            lengths = [(self.weight[i, place] * one).norm(dim=-1).mean(1) for place, one in enumerate(each)]
        row = torch.zeros(each[0].shape[0], len(self.q), device=each[0].device)
        for j, length in zip(others, lengths, strict=True):
            row[:, j] = length
        return row / row.sum(1, keepdim=True).clamp_min(1e-9)


class CCMM(nn.Module):
    """Between channels: squeeze-and-excitation over the channels of all views together."""

    def __init__(self, views: int, dim: int) -> None:
        super().__init__()
        wide = views * dim
        self.norm, self.squeeze, self.excite = nn.LayerNorm(wide), nn.Linear(wide, 2 * wide // 3), nn.Linear(2 * wide // 3, wide)

    def gates(self, tokens: list[Tensor], off: Sequence[int] = ()) -> list[Tensor]:
        """(B, d) for each view, between 0 and 1."""
        means = [torch.zeros_like(s[:, 0]) if k in off else s.mean(1) for k, s in enumerate(tokens)]
        return list(torch.sigmoid(self.excite(F.gelu(self.squeeze(self.norm(torch.cat(means, -1)))))).chunk(len(tokens), -1))

    def forward(self, tokens: list[Tensor], gates: list[Tensor] | None, off: Sequence[int] = ()) -> list[Tensor]:
        """`gates` receives (B, V, d)."""
        made = self.gates(tokens, off)
        if gates is not None:
            gates.append(torch.stack(made, 1))
        return [s * (1 + g[:, None]) for s, g in zip(tokens, made, strict=True)]


class Block(nn.Module):
    """ITMM, then CTMM, then CCMM; the last two can be left out (the paper's ablations)."""

    def __init__(
        self, views: int, dim: int, heads: int, head_dim: int, profile: Profile, *, ctmm: bool, ccmm: bool, random_mask: float
    ) -> None:
        super().__init__()
        self.itmm = ITMM(views, dim, heads, head_dim, profile, random_mask)
        self.ctmm = CTMM(views, dim, heads, head_dim, profile) if ctmm and views > 1 else None
        self.ccmm = CCMM(views, dim) if ccmm else None


class M2OST(nn.Module):
    """Expression (B, G) from one batch of images a view, each (B, 3, S, S) in 0…1.

    With the defaults it is the paper's size: 7,043,466 numbers in the "repo" profile. levels: which views it takes, by how far out they are
    (0 the spot, 1 twice as wide, 2 four times), or how many from the spot outwards. dpe=False gives every view coarse patches alone.
    ValueError, in a sentence, for a profile, levels or sizes that cannot be.
    """

    def __init__(
        self,
        profile: Profile = "repo",
        *,
        image: int = 224,
        patch: int = 16,
        dim: int = 192,
        depth: int = 4,
        heads: int = 3,
        head_dim: int | None = None,
        levels: int | Sequence[int] = (0, 1, 2),
        genes: int = 250,
        dpe: bool = True,
        ctmm: bool = True,
        ccmm: bool = True,
        random_mask: float = 0.0,
    ) -> None:
        super().__init__()
        if profile not in ("repo", "paper"):
            raise ValueError(f"The profile is 'repo' or 'paper', not {profile!r}.")
        levels = tuple(range(levels)) if isinstance(levels, int) else tuple(levels)
        if not levels or list(levels) != sorted(set(levels)) or not 0 <= min(levels) <= max(levels) <= 3:
            raise ValueError(f"levels must be different numbers from 0 to 3 in rising order, not {levels}.")
        finest = 2 ** max(levels) if dpe else 1
        if image % patch or (image // finest) % (patch // finest or 1) or patch % finest:
            raise ValueError(
                f"A side of {image} px cannot be cut into patches of {patch} px and {finest} times finer ones; choose other sizes."
            )
        self.profile, self.image, self.patch, self.levels, self.dpe = profile, image, patch, levels, dpe
        head_dim = dim // heads if head_dim is None else head_dim
        self.per_group = (image // patch) ** 2
        sizes = max(levels) + 1 if dpe else 1
        self.embed = nn.ModuleList(PatchEmbedding(patch >> k, dim, 3 * dim >> k) for k in range(sizes))
        self.cls = nn.Parameter(torch.empty(1, 1, dim))
        self.positions = nn.ParameterList(torch.empty(1, self.tokens(level), dim) for level in levels)
        self.blocks = nn.ModuleList(
            Block(len(levels), dim, heads, head_dim, profile, ctmm=ctmm, ccmm=ccmm, random_mask=random_mask) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(len(levels) * dim, genes)
        spread = 1.0 if profile == "repo" else 0.02  # N(0, 1) as released is large; small trainings begin near 0
        for table in (self.cls, *self.positions):
            nn.init.normal_(table, std=spread)

    def groups(self, level: int) -> tuple[int, ...]:
        """How many times finer than the base patch each group of a view is, finest first: (4, 2, 1) for level 2."""
        return tuple(1 << k for k in range(level, -1, -1)) if self.dpe else (1,)

    def tokens(self, level: int) -> int:
        """Tokens of a view: (level + 1)·L + 1."""
        return len(self.groups(level)) * self.per_group + 1

    def embedded(self, image: Tensor, level: int) -> Tensor:
        """(B, groups·L, d): the finest patches over the middle first, the coarse ones over the whole view last."""
        return torch.cat(
            [self.embed[(finer).bit_length() - 1](centre(image, finer) if finer > 1 else image) for finer in self.groups(level)], 1
        )

    def forward(self, images: Sequence[Tensor], *, off: Sequence[int] = (), inside: bool = False) -> Tensor | tuple[Tensor, Inside]:
        """off: levels that are switched off for this answer: nobody listens to them and the head does not see them. ValueError when all are, or for a wrong number of images."""
        if len(images) != len(self.levels):
            raise ValueError(f"This network takes {len(self.levels)} views, not {len(images)}.")
        dark = [place for place, level in enumerate(self.levels) if level in off]
        if len(dark) == len(self.levels):
            raise ValueError("At least one view must stay on.")
        tokens = []
        for image, level, table in zip(images, self.levels, self.positions, strict=True):
            patches = self.embedded(image, level)
            tokens.append(torch.cat([self.cls.expand(len(patches), -1, -1), patches], 1) + table)
        seen, listens, gates = ([], [], []) if inside else (None, None, None)
        for block in self.blocks:
            tokens = block.itmm(tokens, seen)
            if block.ctmm is not None:
                tokens = block.ctmm(tokens, listens, dark)
            if block.ccmm is not None:
                tokens = block.ccmm(tokens, gates, dark)
        heads = [torch.zeros_like(s[:, 0]) if place in dark else self.norm(s[:, 0]) for place, s in enumerate(tokens)]
        answer = self.head(torch.cat(heads, -1))
        if not inside:
            return answer
        views = len(self.levels)
        attention = [torch.stack(seen[place::views], 1) for place in range(views)]
        return answer, Inside(attention, torch.stack(listens, 1) if listens else None, torch.stack(gates, 1) if gates else None)


def _heads(x: Tensor, heads: int, head_dim: int) -> Tensor:
    return x.unflatten(-1, (heads, head_dim)).transpose(1, 2)


def _split(x: Tensor, heads: int, head_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = x.chunk(3, -1)
    return _heads(q, heads, head_dim), _heads(k, heads, head_dim), _heads(v, heads, head_dim)


def _join(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def parameters() -> tuple[int, int]:
    """Numbers of the shipped size: (all, trained)."""
    from models.m2ost.arms import network

    count = sum(p.numel() for p in network("full").parameters())
    return count, count
