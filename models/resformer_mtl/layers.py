"""The token path of the encoder: channel attention, multi-kernel embedding and merging, window attention, the Swin block (spec §2.1–2.3).

Sources: the paper's text as summarised in the spec; ECA (arXiv 1910.03151, kernel from the number of channels with γ = 2, b = 1); Swin
(arXiv 2103.14030, equations 3 and 4). Known deviation: the published code mixes up tokens and channels before the channel attention of the
MLP; here they are kept apart unless `eca_layout="repo"`.

Legend: B pictures, C channels, S side of a map, N = S² tokens in reading order, w window side, M = w² tokens of a window, n windows, h heads.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth


def eca_kernel(channels: int) -> int:
    """The odd kernel nearest below |log2(C) / 2 + 1/2|, or the next odd one (ECA, equation 12)."""
    found = int(abs(math.log2(channels) / 2 + 0.5))
    return found if found % 2 else found + 1


class Eca(nn.Module):
    """Channel attention with a residual: x · s + x, s = sigmoid(conv over channels of the mean over places). (B, C, S, S) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = eca_kernel(channels)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def scale(self, x: Tensor) -> Tensor:
        """s, (B, C, 1, 1) in 0…1."""
        mean = x.mean(dim=(2, 3))[:, None]  # B 1 C
        return self.conv(mean).sigmoid()[:, 0, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale(x) + x


def as_tokens(x: Tensor) -> Tensor:
    """(B, C, S, S) to (B, N, C)."""
    return x.flatten(2).transpose(1, 2)


def as_map(tokens: Tensor) -> Tensor:
    """(B, N, C) to (B, C, S, S)."""
    b, n, c = tokens.shape
    side = math.isqrt(n)
    return tokens.transpose(1, 2).reshape(b, c, side, side)


def shares(channels: int, kernels: int) -> list[int]:
    """Output channels of the embedding's kernels: a half, a quarter, … and the last two alike (32, 16, 8, 8 of 64)."""
    parts = [channels >> (place + 1) for place in range(kernels - 1)]
    return [*parts, channels - sum(parts)]


class Embedding(nn.Module):
    """Multi-kernel patch embedding: convolutions of several kernels at one stride, side by side; ECA; LayerNorm. (B, 3, H, H) to (B, N, C)."""

    def __init__(self, in_channels: int, channels: int, kernels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        sizes = [kernel * stride // 2 for kernel in kernels]
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, part, size, stride, (size - stride) // 2)
            for part, size in zip(shares(channels, len(kernels)), sizes, strict=True)
        )
        self.eca = Eca(channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.cat([conv(image) for conv in self.convs], dim=1)  # B C S S
        return self.norm(as_tokens(self.eca(x)))


class Merging(nn.Module):
    """Multi-kernel patch merging: LayerNorm, kernels 2 and 4 at stride 2 side by side, ECA. Tokens (B, N, C) to (B, N/4, 2C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, kernel, 2, (kernel - 2) // 2) for kernel in (2, 4))
        self.eca = Eca(2 * channels)

    def forward(self, tokens: Tensor) -> Tensor:
        x = as_map(self.norm(tokens))
        return as_tokens(self.eca(torch.cat([conv(x) for conv in self.convs], dim=1)))


def partition(x: Tensor, window: int) -> Tensor:
    """(B, S, S, C) to windows (B·n, M, C), windows and tokens in reading order."""
    b, side, _, c = x.shape
    cut = x.view(b, side // window, window, side // window, window, c)
    return cut.transpose(2, 3).reshape(-1, window * window, c)


def reverse(windows: Tensor, window: int, side: int) -> Tensor:
    """The inverse of `partition`: (B·n, M, C) to (B, S, S, C)."""
    count = side // window
    cut = windows.view(-1, count, count, window, window, windows.shape[-1])
    return cut.transpose(2, 3).reshape(-1, side, side, windows.shape[-1])


def relative_index(window: int) -> Tensor:
    """int64 (M, M): for each pair of a window's tokens the row of the bias table, which has (2w − 1)² rows."""
    places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)  # 2 M
    apart = places[:, :, None] - places[:, None, :] + window - 1  # 2 M M, from 0
    return apart[0] * (2 * window - 1) + apart[1]


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """bool (n, M, M): whether two tokens of a window may see each other once the map is rolled by `shift`: not across the map's seam."""
    part = torch.zeros(side)
    part[side - window : side - shift] = 1
    part[side - shift :] = 2
    regions = part[:, None] * 3 + part[None, :]  # S S
    cut = partition(regions[None, :, :, None], window)[..., 0]  # n M
    return cut[:, :, None] == cut[:, None, :]


class WindowAttention(nn.Module):
    """Attention within windows, with a bias for each relative place (Swin, equation 4). (B·n, M, C) to the same."""

    def __init__(self, channels: int, window: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.register_buffer("index", relative_index(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None, weights: list[Tensor] | None = None) -> Tensor:
        """`mask` bool (n, M, M); `weights` collects the attention (B·n, h, M, M), rows summing to 1."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each B·n h M d
        bias = self.table[self.index].permute(2, 0, 1)[None]  # 1 h M M
        if mask is not None:
            bias = torch.where(mask[:, None], bias, -torch.inf).repeat(len(x) // len(mask), 1, 1, 1)  # B·n h M M
        if weights is None:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(len(x), -1, -1, -1))
        else:
            found = (q @ k.mT / math.sqrt(q.shape[-1]) + bias).softmax(dim=-1)
            weights.append(found)
            mixed = found @ v
        return self.proj(mixed.transpose(1, 2).flatten(2))


class EcaMlp(nn.Module):
    """fc1, GELU, fc2, then channel attention. Tokens (B, N, C) to the same."""

    def __init__(self, channels: int, layout: str) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.eca = Eca(channels)
        self.layout = layout

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.fc2(F.gelu(self.fc1(tokens)))
        if self.layout == "repo":
            b, n, c = x.shape
            side = math.isqrt(n)
            return self.eca(x.reshape(b, c, side, side)).flatten(2).transpose(1, 2)  # scrambled on the way in, not put back
        return as_tokens(self.eca(as_map(x)))


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)) (Swin, equation 3), windows rolled by half when `shifted`. (B, N, C) to the same."""

    def __init__(self, channels: int, side: int, window: int, heads: int, *, shifted: bool, drop_path: float, layout: str) -> None:
        super().__init__()
        self.side, self.window = side, min(window, side)
        self.shift = window // 2 if shifted and side > window else 0  # one window over the whole map has nothing to shift
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, self.window, heads)
        self.mlp = EcaMlp(channels, layout)
        self.drop = StochasticDepth(drop_path, "row")
        mask = shift_mask(side, self.window, self.shift) if self.shift else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        tokens = tokens + self.drop(self._attend(self.norm1(tokens), weights))
        return tokens + self.drop(self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor, weights: list[Tensor] | None) -> Tensor:
        grid = tokens.unflatten(1, (self.side, self.side))  # B S S C
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), (1, 2))
        mixed = self.attention(partition(grid, self.window), self.mask, weights)
        grid = reverse(mixed, self.window, self.side)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), (1, 2))
        return grid.flatten(1, 2)
