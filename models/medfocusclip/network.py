"""The classifier: a picture's CLIP feature against one text for each class, its image tower trained from some block on (spec §5.3, §5.5).

    v = norm(f_img(J)),  t_k = norm(f_txt("This is a photo of {class_k}")),  logits = s v tᵀ

Text tower and scale s stay frozen. `front` runs the frozen blocks, once for each picture; `back` the trained ones. Two optional parts, both
inferred and off by default, start as if they were not there because their last layer is zero: `RoiFusion` (the paper's "fusion module", spec §5.3)
and `AlphaPatch` (Alpha-CLIP's way of telling the tower where to look, arXiv 2312.03818).

B pictures, N tokens (class token first), n patches, C channels of the tower, K classes, E joint size.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.medfocusclip.options import TEMPLATE, prompts
from models.shared.backbones.clip import vision

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip

ALPHA_MEAN, ALPHA_SPREAD = 0.5, 0.26
"""Alpha-CLIP's normalisation of an alpha map in 0…1."""


class RoiFusion(nn.Module):
    """v' = norm(v + W₂ GELU(W₁ [v ; v_roi])). W₂ starts at zero, so v' = v before training."""

    def __init__(self, size: int, hidden: int | None = None) -> None:
        super().__init__()
        self.w1 = nn.Linear(2 * size, hidden or size)
        self.w2 = nn.Linear(hidden or size, size)
        nn.init.zeros_(self.w2.weight)
        nn.init.zeros_(self.w2.bias)

    def forward(self, v: Tensor, v_roi: Tensor) -> Tensor:
        """v, v_roi (B, E) of length one → (B, E) of length one."""
        return F.normalize(v + self.w2(F.gelu(self.w1(torch.cat([v, v_roi], dim=-1)))), dim=-1)


class AlphaPatch(nn.Module):
    """A patch convolution over an alpha map, added to CLIP's patches. It starts at zero, so the map changes nothing before training."""

    def __init__(self, channels: int, patch_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, patch_size, stride=patch_size, bias=False)
        nn.init.zeros_(self.conv.weight)

    def forward(self, alpha: Tensor) -> Tensor:
        """alpha (B, 1, S, S) in 0…1 → (B, C, gh, gw) to be added to the output of CLIP's patch convolution."""
        return self.conv((alpha - ALPHA_MEAN) / ALPHA_SPREAD)


class FocusClassifier(nn.Module):
    """CLIP with its last blocks, final norm and projection open for training, and the texts of the classes."""

    def __init__(
        self,
        clip: Clip,
        classes: Sequence[str],
        *,
        template: str = TEMPLATE,
        blocks: int = 1,
        fusion: bool = False,
        alpha: bool = False,
    ) -> None:
        """`clip` is copied and left as it was. `blocks`: how many blocks train, counted from the last; all of them opens the whole tower."""
        super().__init__()
        if not 0 <= blocks <= clip.layers:
            raise ValueError(f"{blocks} blocks cannot be trained; this CLIP has {clip.layers}.")
        self.clip = copy.deepcopy(clip)
        self.tower = self.clip.model.visual
        self.classes = tuple(classes)
        self.blocks = blocks
        self.first = clip.layers - blocks
        self.fusion = RoiFusion(clip.embed_dim) if fusion else None
        self.alpha = AlphaPatch(self.tower.conv1.out_channels, clip.patch_size).to(clip.device) if alpha else None
        with torch.no_grad():
            self.register_buffer("texts", clip.encode_text(prompts(self.classes, template), normalize=True), persistent=False)  # K E
        self.register_buffer("scale", clip.logit_scale.detach().clone(), persistent=False)
        for _, parameter in self.opened():
            parameter.requires_grad_(True)

    def opened(self) -> list[tuple[str, nn.Parameter]]:
        """The tower's parameters that train, with the names they have in CLIP's image tower."""
        whole = self.blocks == len(self.tower.transformer.resblocks)
        wanted = (*(f"transformer.resblocks.{layer}." for layer in range(self.first, self.clip.layers)), "ln_post.")
        return [(name, p) for name, p in self.tower.named_parameters() if whole or name == "proj" or name.startswith(wanted)]

    def trained_state(self) -> dict[str, Tensor]:
        """What training may change, by name; the rest is CLIP's."""
        return {name: p.detach().clone() for name, p in self.trainable().items()}

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Take over a `trained_state`. ValueError when names or shapes do not fit."""
        here = self.trainable()
        if here.keys() != state.keys() or any(here[name].shape != tensor.shape for name, tensor in state.items()):
            raise ValueError("These trained weights do not fit this CLIP and number of trained blocks; train the head again.")
        with torch.no_grad():
            for name, tensor in state.items():
                here[name].copy_(tensor)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Every parameter that trains, by name: the opened ones of the tower and those of the optional parts."""
        extra = [(part, module) for part, module in (("fusion", self.fusion), ("alpha", self.alpha)) if module is not None]
        return dict(self.opened()) | {f"{part}.{name}": p for part, module in extra for name, p in module.named_parameters()}

    def front(self, x: Tensor, bias: Mapping[int, Tensor] | None = None, alpha: Tensor | None = None) -> Tensor:
        """Pictures (B, 3, S, S), as `Clip.preprocess` gives them, to the tokens (B, N, C) that enter the first trained block."""
        tokens = vision.embed(self.tower, x) if alpha is None or self.alpha is None else self._embed_with(x, alpha)
        return self._steps(tokens, bias, 0, self.first)

    def back(self, tokens: Tensor, bias: Mapping[int, Tensor] | None = None, share: Tensor | None = None) -> Tensor:
        """Tokens (B, N, C) from `front` to features v (B, E) of length one. `share` (B, n), the region's part of each patch, is for the fusion."""
        tokens = self._steps(tokens, bias, self.first, len(self.tower.transformer.resblocks))
        v = F.normalize(self._pooled(tokens), dim=-1)
        if self.fusion is None or share is None:
            return v
        return self.fusion(v, self.region_feature(tokens, share))

    def region_feature(self, tokens: Tensor, share: Tensor) -> Tensor:
        """v_roi (B, E) of length one: patches in the joint space, averaged by how much of each lies in the region; v's direction 0 if none does."""
        patches = vision.project_patches(self.tower, tokens)  # B n E
        return F.normalize((patches * share[..., None]).sum(dim=1) / share.sum(dim=1, keepdim=True).clamp_min(1e-6), dim=-1)

    def forward(
        self, x: Tensor, bias: Mapping[int, Tensor] | None = None, *, share: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Pictures (B, 3, S, S) to logits (B, K)."""
        return self.logits(self.back(self.front(x, bias, alpha), bias, share))

    def logits(self, v: Tensor) -> Tensor:
        """Features v (B, E) of length one to logits (B, K)."""
        return self.scale * v @ self.texts.mT

    def _steps(self, tokens: Tensor, bias: Mapping[int, Tensor] | None, start: int, stop: int) -> Tensor:
        for layer in range(start, stop):
            block = self.tower.transformer.resblocks[layer]
            added = (bias or {}).get(layer)
            # The block's own forward uses the fused kernel, which is faster where nothing is added.
            tokens = block(tokens) if added is None else vision.step(block, tokens, added)[0]
        return tokens

    def _embed_with(self, x: Tensor, alpha: Tensor) -> Tensor:
        added = self.alpha(alpha)  # B C gh gw
        handle = self.tower.conv1.register_forward_hook(lambda _module, _inputs, out: out + added)
        try:
            return vision.embed(self.tower, x)
        finally:
            handle.remove()

    def _pooled(self, tokens: Tensor) -> Tensor:
        if self.tower.pool_type == "tok":
            pooled = self.tower.ln_post(tokens[:, 0])
        elif self.tower.final_ln_after_pool:
            pooled = self.tower.ln_post(tokens[:, 1:].mean(dim=1))
        else:
            pooled = self.tower.ln_post(tokens)[:, 1:].mean(dim=1)
        return pooled if self.tower.proj is None else pooled @ self.tower.proj
