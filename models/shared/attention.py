"""From attention weights to pictures: means over heads, rollout, the class token's map, its share inside a region.

B images, L layers, h heads, N tokens (class token first, then patches in reading order), gh × gw grid of patches, H × W pixels.
Attention rows sum to 1; row = the token that asks, column = the token it draws from.

Rollout is that of Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3: with the residual connection counted as
half of each layer, A_l = 0.5 W_l + 0.5 I, and the rollout is the product A_L … A_1. Heads are averaged first, as in the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def head_mean(attention: Tensor) -> Tensor:
    """(…, h, N, N) to (…, N, N): the mean over heads; rows still sum to 1."""
    return attention.mean(dim=-3)


def rollout(attention: Tensor, *, residual: float = 0.5) -> Tensor:
    """How much each token's last vector draws from each input token, over all layers: (B, L, h, N, N) to (B, N, N), rows sum to 1.

    `residual` is the share of the residual connection in each layer; 0.5 is the paper's. ValueError when it is not in 0…1.
    """
    if attention.ndim != 5:
        raise ValueError(f"Attention comes as (images, layers, heads, tokens, tokens); this one has the shape {tuple(attention.shape)}.")
    if not 0 <= residual <= 1:
        raise ValueError(f"The residual's share must lie between 0 and 1; {residual} does not.")
    mean = head_mean(attention)  # B L N N
    eye = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
    # Written as a mixture, each row sums to 1 by itself, which is the paper's normalisation.
    mixed = (1 - residual) * mean + residual * eye
    flow = mixed[:, 0]
    for layer in mixed.unbind(1)[1:]:
        flow = layer @ flow  # later layers stand to the left
    return flow


def class_map(attention: Tensor, grid: tuple[int, int], keep_idx: Tensor | None = None) -> Tensor:
    """What the class token draws from each patch: (…, N, N) to (…, gh, gw). The class token's share in itself is left out.

    With `keep_idx` (B, k) the attention is (B, …, k + 1, k + 1); patches that were not kept get 0.
    """
    row = attention[..., 0, 1:]  # … k
    cells = grid[0] * grid[1]
    if keep_idx is not None:
        places = keep_idx.reshape(len(keep_idx), *[1] * (row.ndim - 2), -1).expand(row.shape)  # B 1 … k -> B … k
        row = row.new_zeros(*row.shape[:-1], cells).scatter(-1, places, row)
    if row.shape[-1] != cells:
        raise ValueError(
            f"{row.shape[-1]} patches do not fill a grid of {grid[0]} by {grid[1]}; give the grid of the model, and the patches kept."
        )
    return row.reshape(*row.shape[:-1], *grid)


def patch_share(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Masks (…, H, W), bool or 0…1, to the share of each patch that lies inside: (…, gh, gw), float32 in 0…1."""
    flat = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    return F.adaptive_avg_pool2d(flat, grid).reshape(*mask.shape[:-2], *grid)


def mass_inside(patch_map: Tensor, share: Tensor) -> Tensor:
    """The part of a map (…, gh, gw) that falls inside a region given by `patch_share`, 0…1; 0 for a map that is all zero.

    A patch that lies half inside counts half.
    """
    total = patch_map.sum(dim=(-2, -1))
    inside = (patch_map * share).sum(dim=(-2, -1))
    return torch.where(total > 0, inside / total.clamp_min(torch.finfo(total.dtype).tiny), torch.zeros_like(total))


def upsample(patch_map: Tensor, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Tensor:
    """Spread a map (…, gh, gw) over a picture of `size` (H, W), smoothly: (…, H, W).

    `box` (top, left, bottom, right), in pixels of the picture, is the part that the model saw (`Clip.seen_box`); the whole picture
    without it. Pixels that the model did not see get 0.
    """
    height, width = size
    top, left, bottom, right = box or (0.0, 0.0, float(height), float(width))
    flat = patch_map.reshape(-1, 1, *patch_map.shape[-2:])
    # Sample at pixel centres, in the sampler's coordinates: -1 and 1 are the outer edges of the map.
    y = (torch.arange(height, device=flat.device, dtype=flat.dtype) + 0.5 - top) / (bottom - top) * 2 - 1  # H
    x = (torch.arange(width, device=flat.device, dtype=flat.dtype) + 0.5 - left) / (right - left) * 2 - 1  # W
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(len(flat), -1, -1, -1)  # (x, y) pairs: M H W 2
    spread = F.grid_sample(flat, places, mode="bilinear", padding_mode="border", align_corners=False)  # M 1 H W
    seen = (y.abs() <= 1)[:, None] & (x.abs() <= 1)[None, :]  # H W
    return (spread * seen).reshape(*patch_map.shape[:-2], height, width)
