"""Attention mode: CLIP's own attention, turned towards a region. Ours, not from the paper (spec §6).

For each chosen block and head, with keys j and a soft token mask m̃_j (the share of patch j inside the region; the class token has 1):

    A = softmax(Q Kᵀ/√d + β log(ε + (1 − ε) m̃_j))

on the class token's row, or on all rows. β = 0 is untouched CLIP; β = 1 multiplies attention by ε + (1 − ε) m̃ and renormalises, as PASTA does
with whole words; a large β is masked attention, as in MaskCLIP. Relatives: FALIP (arXiv 2407.05578), Alpha-CLIP (arXiv 2312.03818).

B pictures, n patches, N = n + 1 tokens with the class token first, gh × gw grid of patches, H × W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from models.medfocusclip.options import Guidance, OptionRefused
from models.shared.attention import patch_share

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip


def seen_mask(region: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """The region (H, W) on the square that CLIP sees: cut to `box` (top, left, bottom, right; see `Clip.seen_box`), empty where it reaches out."""
    height, width = region.shape
    top, left, bottom, right = (round(edge) for edge in box)
    return F.pad(region.float(), (-left, right - width, -top, bottom - height))  # negative padding cuts


def token_share(region: Tensor, clip: Clip) -> Tensor:
    """The share of each of CLIP's patches that lies in the region (H, W) bool: (gh, gw) float32."""
    return patch_share(seen_mask(region, clip.seen_box(*region.shape)), clip.grid)


def focus_bias(share: Tensor, guidance: Guidance) -> Tensor:
    """Scores to add before the softmax: (B, 1, N, N) from shares (B, n) in 0…1.

    Written with log1p, so that a patch wholly inside adds exactly 0 whatever β and ε are.
    """
    added = guidance.beta * torch.log1p((1 - guidance.epsilon) * (share - 1))  # B n
    added = F.pad(added, (1, 0))  # the class token's own key: log 1
    rows = added[:, None, None, :].expand(-1, 1, added.shape[1], -1)  # B 1 N N
    if guidance.rows == "all":
        return rows
    first = torch.zeros(added.shape[1], 1, dtype=added.dtype, device=added.device)
    first[0] = 1
    return rows * first


def steered_layers(guidance: Guidance, layers: int) -> tuple[int, ...]:
    """The blocks to steer, from 0, in rising order; OptionRefused for one that the tower does not have."""
    if guidance.layers is None:
        return tuple(range(layers))
    for layer in guidance.layers:
        if not -layers <= layer < layers:
            raise OptionRefused(f"This CLIP has the blocks 0 to {layers - 1}; there is no block {layer} to steer.")
    return tuple(sorted({layer % layers for layer in guidance.layers}))


def guide(share: Tensor, guidance: Guidance, layers: int) -> dict[int, Tensor]:
    """Block → bias, as `Clip.look(bias=…)` takes it; empty where nothing would change. `share` is (B, n)."""
    if guidance.beta == 0:
        return {}
    bias = focus_bias(share, guidance)
    return dict.fromkeys(steered_layers(guidance, layers), bias)
