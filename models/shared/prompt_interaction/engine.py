"""The network (reconstruction; EPIC §3, MITP §3): prompts enter a frozen layer beside the tower's own tokens, leave it again, meet in the hub, and enter the
next rung.

Only the first text prompts, two width maps and the head learn. Legend: B pairs, N prompts, n_v and T tokens of picture and note, d_v and d_t the towers'
widths, P the joint size, K classes. u: tokens, p: prompts, p̂: prompts after a layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.vision import embed, step
from models.shared.prompt_interaction.config import Config, pairs

SIGMA = 0.02
_NEVER = float("-inf")


@dataclass
class Trace:
    """What a forward pass shows of itself, rung by rung."""

    text_from_image: list[Tensor] = field(default_factory=list)
    """S_t (B, N, N): how much each note prompt takes from each picture prompt; rows sum to 1."""
    image_from_text: list[Tensor] = field(default_factory=list)
    """S_v (B, N, N)."""
    patches: list[Tensor] = field(default_factory=list)
    """(B, N, n_v): where picture prompts looked, class token first; the rest of their attention goes to each other."""
    words: list[Tensor] = field(default_factory=list)
    """(B, N, T)."""
    image_prompts: list[Tensor] = field(default_factory=list)
    """p̂_v (B, N, d_v)."""
    text_prompts: list[Tensor] = field(default_factory=list)
    """p̂_t (B, N, d_t)."""
    image_next: list[Tensor] = field(default_factory=list)
    """(B, N, d_v): picture prompts that go on to the next rung; what the last rung makes is not read."""
    text_next: list[Tensor] = field(default_factory=list)
    """(B, N, d_t)."""


@dataclass(frozen=True)
class Inputs:
    """Picture and note as far as they go without prompts, so that they can be kept and asked again."""

    image: Tensor
    """(B, n_v, d_v): before the first rung's vision layer."""
    text: Tensor
    """(B, T, d_t): before the first rung's text layer."""
    end: Tensor
    """(B,): where each note ends."""

    def __getitem__(self, rows: Tensor) -> Inputs:
        """Some of the pairs; the notes are cut at the longest of them."""
        end = self.end[rows]
        return Inputs(self.image[rows], self.text[rows][:, : int(end.max()) + 1], end)


class Hub(nn.Module):
    """Two sets of prompts compared by similarity; each takes from the other what the rows of S say, beside its own content."""

    def __init__(self, d_v: int, d_t: int, config: Config) -> None:
        super().__init__()
        self.config = config
        self.to_vision, self.to_text = nn.Linear(d_t, d_v), nn.Linear(d_v, d_t)
        for layer in (self.to_vision, self.to_text):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if config.similarity == "random":
            generator = torch.Generator().manual_seed(0)
            self.register_buffer("fixed", torch.rand(2, config.prompts, config.prompts, generator=generator).mul(3).softmax(-1))

    def forward(
        self, image: Tensor, text: Tensor, *, tau: float | None = None, beta: float | None = None, uniform: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """p̂_v (B, N, d_v) and p̂_t (B, N, d_t) to the next prompts of both and S_v, S_t (B, N, N). tau, beta and uniform: instead of what was trained."""
        config = self.config
        tau, beta = config.tau if tau is None else tau, config.beta if beta is None else beta
        to_t, to_v = self.to_text(image), self.to_vision(text)
        s_t, c_t = self._taken(text, to_t, tau, uniform, 0)
        s_v, c_v = self._taken(image, to_v, tau, uniform, 1)
        act = F.gelu if config.activate == "gelu" else nn.Identity()
        next_t = act(text + beta * c_t) if config.direction in ("both", "to_text") else text
        next_v = act(image + beta * c_v) if config.direction in ("both", "to_vision") else image
        return next_v, next_t, s_v, s_t

    def _taken(self, own: Tensor, foreign: Tensor, tau: float, uniform: bool, place: int) -> tuple[Tensor, Tensor]:
        kind, n = self.config.similarity, own.shape[1]
        if uniform or kind == "uniform":
            s = own.new_full((len(own), n, n), 1 / n)
        elif kind == "random":
            s = self.fixed[place].expand(len(own), -1, -1)
        elif kind in ("joint", "joint_masked"):
            bank = F.normalize(torch.cat([own, foreign], dim=1), dim=-1)
            scores = bank @ bank.mT / tau
            if kind == "joint_masked":  # a prompt's cosine with itself is 1, and a sharp softmax would copy it
                scores = scores.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=own.device), _NEVER)
            rows = scores.softmax(-1)[:, :n]
            return rows[..., n:] / rows[..., n:].sum(-1, keepdim=True).clamp_min(1e-9), rows @ torch.cat([own, foreign], dim=1)
        else:
            scores = F.normalize(own, dim=-1) @ F.normalize(foreign, dim=-1).mT
            if kind == "pairwise":  # the i-th of one set with the i-th of the other alone
                gate = scores.diagonal(dim1=1, dim2=2)[..., None]
                return torch.eye(n, device=own.device).expand(len(own), -1, -1), gate * foreign
            s = (scores / tau).softmax(-1)
        return s, s @ foreign


class PromptInteraction(nn.Module):
    """Picture and note in, one logit a class out; the towers stay as they were."""

    def __init__(self, clip: Clip, config: Config) -> None:
        super().__init__()
        object.__setattr__(self, "clip", clip)  # frozen, and no part of what is kept
        clip.model.eval().requires_grad_(False)
        self.config = config
        self.pairs = pairs(len(clip._visual.transformer.resblocks), len(clip._text.transformer.resblocks), config.rungs)
        d_v, d_t = clip._visual.transformer.width, clip.text_width
        if config.prompts:
            self.prompts = nn.Parameter(torch.randn(config.prompts, d_t) * SIGMA)
            self.hub = Hub(d_v, d_t, config)
        self.head = nn.Linear(2 * clip.embed_dim, config.classes)

    # ------------------------------------------------------------------ the frozen part
    def begin(self, x: Tensor, tokens: Tensor) -> Inputs:
        """Pictures (B, 3, S, S) and token numbers (B, T) up to the first rung."""
        text, end = self.begin_text(tokens)
        return Inputs(self.begin_image(x), text, end)

    @torch.no_grad()
    def begin_image(self, x: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) up to the first rung's vision layer: (B, n_v, d_v)."""
        image = embed(self.clip._visual, x)
        for block in self.clip._visual.transformer.resblocks[: self.pairs[0][0]]:
            image, _ = step(block, image)
        return image

    @torch.no_grad()
    def begin_text(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token numbers (B, T) up to the first rung's text layer: (B, T', d_t), cut at the longest note, and where each ends (B,)."""
        embedded, end = self.clip.token_embeddings(tokens)
        text = embedded[:, : int(end.max()) + 1]
        text = text + self.clip._text.positions[: text.shape[1]].to(text.dtype)
        mask = self.mask(text, end, 0)
        for block in self.clip._text.transformer.resblocks[: self.pairs[0][1]]:
            text, _ = step(block, text, mask)
        return text, end

    @staticmethod
    def mask(text: Tensor, end: Tensor, prompts: int) -> Tensor:
        """Added scores (B, 1, N + T, N + T): prompts see prompts and the note's own tokens; tokens see all prompts, themselves and what stands before them."""
        b, t = text.shape[:2]
        places = torch.arange(t, device=text.device)
        allowed = torch.zeros(b, prompts + t, prompts + t, dtype=torch.bool, device=text.device)
        allowed[:, :, :prompts] = True
        allowed[:, :prompts, prompts:] = (places <= end[:, None])[:, None]
        allowed[:, prompts:, prompts:] = places[:, None] >= places
        return torch.zeros(allowed.shape, device=text.device, dtype=text.dtype).masked_fill(~allowed, _NEVER)[:, None]

    # ------------------------------------------------------------------ the walk
    def forward(
        self,
        inputs: Inputs,
        *,
        trace: Trace | None = None,
        tau: float | None = None,
        beta: float | None = None,
        uniform: bool = False,
        until: int | None = None,
    ) -> Tensor:
        """(B, K). tau, beta, uniform: the hub at answering time, other than it was trained; until: rungs after this one let nothing through (a probe)."""
        image, text = self.features(inputs, trace=trace, tau=tau, beta=beta, uniform=uniform, until=until)
        return self.head(torch.cat([image, text], dim=-1))

    def features(
        self,
        inputs: Inputs,
        *,
        trace: Trace | None = None,
        tau: float | None = None,
        beta: float | None = None,
        uniform: bool = False,
        until: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Features of picture and note in the joint space, (B, P) each."""
        clip, n = self.clip, self.config.prompts
        vision, words = clip._visual.transformer.resblocks, clip._text.transformer.resblocks
        u_v, u_t = inputs.image, inputs.text
        plain, mixed = self.mask(u_t, inputs.end, 0), self.mask(u_t, inputs.end, n)
        at_v, at_t = self.pairs[0]
        if n:
            p_t = self.prompts.expand(len(u_t), -1, -1)
            p_v = self.hub.to_vision(p_t)
        for rung, (layer_v, layer_t) in enumerate(self.pairs):
            for block in vision[at_v:layer_v]:
                u_v, _ = step(block, u_v)
            for block in words[at_t:layer_t]:
                u_t, _ = step(block, u_t, plain)
            at_v, at_t = layer_v + 1, layer_t + 1
            if not n:
                u_v, u_t = step(vision[layer_v], u_v)[0], step(words[layer_t], u_t, plain)[0]
                continue
            both_v, seen_v = step(vision[layer_v], torch.cat([p_v, u_v], dim=1))
            both_t, seen_t = step(words[layer_t], torch.cat([p_t, u_t], dim=1), mixed)
            (p_v, u_v), (p_t, u_t) = (x.split([n, x.shape[1] - n], dim=1) for x in (both_v, both_t))
            if trace is not None:
                trace.patches.append(seen_v[:, :, :n, n:].mean(1))
                trace.words.append(seen_t[:, :, :n, n:].mean(1))
                trace.image_prompts.append(p_v)
                trace.text_prompts.append(p_t)
            closed = self.config.direction == "off" or (until is not None and rung >= until)
            if trace is not None or not closed:
                next_v, next_t, s_v, s_t = self.hub(p_v, p_t, tau=tau, beta=beta, uniform=uniform)
                if trace is not None:
                    trace.image_from_text.append(s_v)
                    trace.text_from_image.append(s_t)
                if not closed:
                    p_v, p_t = next_v, next_t
            if trace is not None:
                trace.image_next.append(p_v)
                trace.text_next.append(p_t)
        for block in vision[at_v:]:
            u_v, _ = step(block, u_v)
        for block in words[at_t:]:
            u_t, _ = step(block, u_t, plain)
        return self._pool_image(u_v), self._pool_text(u_t, inputs.end)

    def _pool_image(self, tokens: Tensor) -> Tensor:
        from models.shared.backbones.clip.vision import _pooled

        return _pooled(self.clip._visual, tokens)

    def _pool_text(self, tokens: Tensor, end: Tensor) -> Tensor:
        tower = self.clip._text
        x = tower.norm(tokens[torch.arange(len(tokens), device=tokens.device), end])
        if tower.projection is None:
            return x
        return tower.projection(x) if isinstance(tower.projection, nn.Linear) else x @ tower.projection

    def trained(self) -> int:
        """How many numbers learn: N·d_t + 2·d_t·d_v + d_t + d_v + 2P·K + K."""
        return sum(p.numel() for p in self.parameters())
