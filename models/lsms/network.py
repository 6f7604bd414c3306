"""The network (spec §2): an encoder whose every block looks at several kernel sizes and at the words side by side, and a decoder over all scales at once.

Legend: B pictures, T words, H×W pixels, C_i and h_i×w_i channels and places of stage i, E width of the words, D of the decoder, n cells of the coarsest
map. Sources: the block is the predecessor's (SLViT, its public code); the full-scale decoder is reconstructed (inferred).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lsms.config import Config


@dataclass
class Trace:
    """What a forward pass shows of itself, stage by stage (the last block of each)."""

    words: list[Tensor] = field(default_factory=list)
    """(B, h·w, T): how each place shares its attention among the words; rows sum to 1."""
    branches: list[dict[str, Tensor]] = field(default_factory=list)
    """Branch → (B, C, h, w): "5×5", the strips' lengths, and "language"."""
    stages: list[Tensor] = field(default_factory=list)
    """F_i (B, C_i, h_i, w_i)."""
    decoded: Tensor | None = None
    """(B, D, h_1, w_1)."""


@dataclass(frozen=True)
class Output:
    """What the network says."""

    logits: Tensor
    """(B, 1, H, W)."""
    pixels: Tensor
    """(B, D, h_1, w_1), of length 1 along D: for the contrast with the sentence."""
    sentence: Tensor
    """(B, D), of length 1."""


class Words(nn.Module):
    """The own text encoder: embedding and a bidirectional GRU, (B, T) word numbers to (B, E, T) (spec §2.1, small profile, inferred)."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.onward, self.back = (nn.GRU(width, width // 2, batch_first=True) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Padding beyond a phrase's end changes nothing: the way back begins at each phrase's own last word.

        Two one-way GRUs and a turn by index, as packed sequences would make a GPU wait for the processor at every step.
        """
        x, there = self.embedding(tokens), tokens != 0
        places = torch.arange(tokens.shape[1], device=tokens.device)
        turned = (there.sum(1, keepdim=True) - 1 - places).clamp_min(0)[..., None]  # place k of the turned phrase
        back = self.back(x.gather(1, turned.expand_as(x)))[0]
        both = torch.cat([self.onward(x)[0], back.gather(1, turned.expand_as(back))], dim=-1)
        return (both * there[..., None]).transpose(1, 2)


class Language(nn.Module):
    """The gated cross-modal branch: q from places, k and v from words, c_L = tanh(W_b ReLU(W_a o)) ⊙ o (spec §2.2)."""

    def __init__(self, channels: int, text: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.key, self.value = nn.Conv1d(text, channels, 1), nn.Conv1d(text, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.gate_a, self.gate_b = nn.Conv2d(channels, channels, 1, bias=False), nn.Conv2d(channels, channels, 1, bias=False)
        self.norm_q, self.norm_o = nn.InstanceNorm2d(channels), nn.InstanceNorm2d(channels)

    def forward(self, a: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """a (B, C, h, w), words (B, E, T), mask (B, T) True for words: c_L (B, C, h, w) and S (B, h·w, T)."""
        b, c, h, w = a.shape
        q = self.norm_q(self.query(a)).flatten(2).transpose(1, 2)  # B hw C
        k, v = self.key(words) * mask[:, None], self.value(words) * mask[:, None]  # B C T
        scores = q @ k / c**0.5 + (~mask)[:, None] * -1e4
        attention = scores.softmax(-1)
        o = self.norm_o(self.out((attention @ v.transpose(1, 2)).transpose(1, 2).reshape(b, c, h, w)))
        return self.gate_b(self.gate_a(o).relu()).tanh() * o, attention


class Attention(nn.Module):
    """Scale-aware vision-language attention: A = W3 (a + Σ c_k + c_L), Attn(x) = W2 (A ⊙ u) + x."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, k), padding=(0, k // 2), groups=channels),
                nn.Conv2d(channels, channels, (k, 1), padding=(k // 2, 0), groups=channels),
            )
            for k in config.kernels
        )
        count = (1 + len(config.kernels)) if config.lang_per_branch else 1
        self.language = nn.ModuleList(Language(channels, config.text_width) for _ in range(count if config.language else 0))
        self.mix, self.last = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.names = tuple(str(k) for k in config.kernels)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor, trace: Trace | None = None) -> Tensor:
        """x (B, C, h, w), after the norm."""
        u = F.gelu(self.first(x))
        a = self.local(u)
        branches = {"5×5": a} | {f"{name}": strip(a) for name, strip in zip(self.names, self.strips, strict=True)}
        total = sum(branches.values())
        attention = None
        if self.language:
            sources = list(branches.values())[: len(self.language)]
            spoken = [part(source, words, mask) for part, source in zip(self.language, sources, strict=True)]
            branches = branches | {"language": sum(one for one, _ in spoken)}
            total, attention = total + branches["language"], spoken[0][1]
        if trace is not None:
            trace.branches.append(branches)
            if attention is not None:
                trace.words.append(attention)
        return self.last(self.mix(total) * u) + x


class Block(nn.Module):
    """x + s1 ⊙ Attn(BN x, L), then x + s2 ⊙ MLP(BN x)."""

    def __init__(self, channels: int, ratio: int, config: Config, drop: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.attention = Attention(channels, config)
        wide = channels * ratio
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, wide, 1), nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.GELU(), nn.Conv2d(wide, channels, 1)
        )
        self.scale1, self.scale2 = (nn.Parameter(torch.full((channels, 1, 1), config.layer_scale)) for _ in range(2))
        self.drop = drop

    def forward(self, x: Tensor, words: Tensor, mask: Tensor, trace: Trace | None = None) -> Tensor:
        """Same shape in and out."""
        x = x + self._dropped(self.scale1 * self.attention(self.norm1(x), words, mask, trace))
        return x + self._dropped(self.scale2 * self.mlp(self.norm2(x)))

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return x
        keep = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
        return x * keep / (1 - self.drop)


class FullScale(nn.Module):
    """Tokens of all scales, pooled to the coarsest grid, attend to each other; what they say is added to each scale (reconstructed, spec §2.3)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        d = config.width
        self.scale = nn.Parameter(torch.randn(len(config.widths), d) * 0.02)
        self.place = nn.Linear(2, d)
        layer = nn.TransformerEncoderLayer(d, config.fsd_heads, 2 * d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, config.fsd_layers, enable_nested_tensor=False)
        self.out = nn.Linear(d, d)

    def tokens(self, maps: list[Tensor]) -> Tensor:
        """Scales r_i (B, D, h_i, w_i) to tokens (B, k·n, D), without scale and place."""
        grid = maps[-1].shape[-2:]
        return torch.cat([F.adaptive_avg_pool2d(x, grid).flatten(2).transpose(1, 2) for x in maps], dim=1)

    def split(self, tokens: Tensor, maps: list[Tensor]) -> list[Tensor]:
        """Tokens back to one map a scale, (B, D, h, w) of the coarsest grid."""
        h, w = maps[-1].shape[-2:]
        return [part.transpose(1, 2).reshape(len(tokens), -1, h, w) for part in tokens.split(h * w, dim=1)]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Scales r_i in, the same shapes out."""
        h, w = maps[-1].shape[-2:]
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, side, device=maps[0].device, dtype=maps[0].dtype) for side in (h, w)), indexing="ij")
        where = self.place(torch.stack([y, x], -1).reshape(1, h * w, 2)).repeat(1, len(maps), 1)
        which = self.scale.repeat_interleave(h * w, dim=0)[None]
        told = self.out(self.layers(self.tokens(maps) + where + which))
        up = [
            F.interpolate(t, r.shape[-2:], mode="bilinear", align_corners=False) for t, r in zip(self.split(told, maps), maps, strict=True)
        ]
        return [r + t for r, t in zip(maps, up, strict=True)]


class Hamburger(nn.Module):
    """Non-negative matrix factorisation of rank R by multiplicative updates, 6 in training and 7 in answering (the predecessor's head)."""

    def __init__(self, channels: int, rank: int = 16) -> None:
        super().__init__()
        self.ham_in, self.ham_out = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1, bias=False)
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) in and out; the bases begin at the same place each time, so that an answer repeats."""
        v = self.ham_in(x).relu().flatten(2)  # B C N
        generator = torch.Generator().manual_seed(0)
        bases = torch.rand(v.shape[1], self.rank, generator=generator).to(v)[None].expand(len(v), -1, -1)
        codes = (v.transpose(1, 2) @ bases).softmax(-1)  # B N R
        for _ in range(6 if self.training else 7):
            codes = codes * (v.transpose(1, 2) @ bases) / (codes @ (bases.transpose(1, 2) @ bases) + 1e-6)
            bases = bases * (v @ codes) / (bases @ (codes.transpose(1, 2) @ codes) + 1e-6)
        return x + self.ham_out((bases @ codes.transpose(1, 2)).view_as(x))


class LSMS(nn.Module):
    """Picture and phrase in, the outline of what the phrase names out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.words = Words(config.words, config.text_width) if config.words and config.language else None
        channels, stem = 3 + 2 * config.coords, []
        for place in range(config.stem_convs):
            width = config.widths[0] // (2 if place < config.stem_convs - 1 else 1)
            stem += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.GELU()]
            channels = width
        self.embed = nn.ModuleList([nn.Sequential(*stem[:-1])])
        for before, after in zip(config.widths[:-1], config.widths[1:], strict=True):
            self.embed.append(nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after)))
        blocks = sum(config.depths)
        drops = [config.drop_path * place / max(1, blocks - 1) for place in range(blocks)]
        self.stages = nn.ModuleList()
        for width, depth, ratio in zip(config.widths, config.depths, config.mlp, strict=True):
            self.stages.append(nn.ModuleList(Block(width, ratio, config, drops.pop(0)) for _ in range(depth)))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in config.widths)
        d = config.width
        self.reduce = nn.ModuleList(nn.Conv2d(width, d, 1) for width in config.widths)
        self.full = FullScale(config) if config.decoder == "fsd" else None
        self.fuse = nn.Sequential(nn.Conv2d(len(config.widths) * d, d, 3, padding=1, bias=False), nn.BatchNorm2d(d), nn.ReLU())
        self.ham = Hamburger(d) if config.decoder == "hamburger" else None
        self.head = nn.Conv2d(d, 1, 1)
        self.pixel, self.sentence = nn.Conv2d(d, d, 1), nn.Linear(config.text_width, d)

    def forward(
        self, image: Tensor, text: Tensor, mask: Tensor | None = None, *, trace: Trace | None = None, scales: tuple[int, ...] | None = None
    ) -> Output:
        """image (B, 1 or 3, H, W); text: word numbers (B, T), or features (B, E, T) of a published encoder with mask (B, T).

        scales: numbers of the stages that the decoder is given; the others' maps are set to zero. H and W are multiples of the coarsest stride.
        """
        words, mask = self.encode_text(text, mask)
        x, found = self.with_coords(image), []
        for embed, blocks, norm in zip(self.embed, self.stages, self.norms, strict=True):
            x = embed(x)
            for place, block in enumerate(blocks):
                x = block(x, words, mask, trace if place == len(blocks) - 1 else None)
            found.append(norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        if trace is not None:
            trace.stages = list(found)
        maps = [reduce(f) * (scales is None or stage in scales) for stage, (reduce, f) in enumerate(zip(self.reduce, found, strict=True))]
        decoded = self.decode(maps)
        if trace is not None:
            trace.decoded = decoded
        logits = F.interpolate(self.head(decoded), image.shape[-2:], mode="bilinear", align_corners=False)
        mean = (words * mask[:, None]).sum(-1) / mask.sum(-1, keepdim=True).clamp_min(1)
        return Output(logits, F.normalize(self.pixel(decoded), dim=1), F.normalize(self.sentence(mean), dim=1))

    def encode_text(self, text: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, E, T) and the mask (B, T)."""
        if text.dim() == 3:
            return text, torch.ones(len(text), text.shape[-1], dtype=torch.bool, device=text.device) if mask is None else mask.bool()
        mask = text != 0
        if self.words is None:  # without language the words' numbers are not looked at
            return self.sentence.weight.new_zeros(len(text), self.config.text_width, text.shape[1]), mask
        return self.words(text), mask

    def with_coords(self, image: Tensor) -> Tensor:
        """Three channels, and two that tell row and column in −1…1 where the settings say so."""
        x = image.expand(-1, 3, -1, -1)
        if not self.config.coords:
            return x
        rows, columns = (torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype) for side in x.shape[-2:])
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None].expand(len(x), -1, -1, -1)
        return torch.cat([x, grid], dim=1)

    def decode(self, maps: list[Tensor]) -> Tensor:
        """r_i (B, D, h_i, w_i) to (B, D, h_1, w_1)."""
        if self.full is not None:
            maps = self.full(maps)
        size = maps[0].shape[-2:]
        y = self.fuse(torch.cat([F.interpolate(r, size, mode="bilinear", align_corners=False) for r in maps], dim=1))
        return y if self.ham is None else self.ham(y)
