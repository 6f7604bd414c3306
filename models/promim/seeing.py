"""From a picture to its prepared record, and from that and a mask to what the prompt-maker sees: kept patches and their feature x̂_m.

N patches, k patches kept, E joint size, S side in pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.promim.masks import sample_keep
from models.promim.records import Prepared

if TYPE_CHECKING:
    from models.promim.records import Hiding, Mask
    from models.shared.backbones.clip import Clip


@dataclass(frozen=True)
class Content:
    """A picture that is equal to another when its pixels are, and the backbone that shall see it is the same."""

    key: str
    pixels: np.ndarray = field(compare=False)

    @classmethod
    def of(cls, clip: Clip, picture: np.ndarray) -> Content:
        """The picture with the hash of its pixels and of the backbone."""
        picture = np.ascontiguousarray(picture)
        digest = hashlib.sha256(f"{clip.name} {clip.sha256} {picture.shape} {picture.dtype}".encode())
        digest.update(picture.tobytes())
        return cls(digest.hexdigest(), picture)


@torch.no_grad()
def prepare(clip: Clip, content: Content) -> Prepared:
    """Preprocessing and x̂; what the model sees is brought back from its input, so that the patch grid lies on exactly that."""
    pixels = clip.preprocess(content.pixels)
    mean, std = (np.asarray(values, dtype=np.float32) for values in (clip.preprocess_config.mean, clip.preprocess_config.std))
    seen = pixels[0].permute(1, 2, 0).cpu().numpy() * std + mean  # 3 S S -> S S 3
    return Prepared(
        key=content.key,
        view=np.clip(np.round(seen * 255), 0, 255).astype(np.uint8),
        box=clip.seen_box(*content.pixels.shape[:2]),
        grid=clip.grid,
        pixels=pixels.cpu().numpy(),
        feature=clip.image_features(pixels, normalize=True)[0].cpu().numpy(),
    )


def kept_by(mask: Mask, grid: tuple[int, int], masks: int = 1) -> Tensor:
    """Patches kept, int64 (masks, k): the hand-set ones, repeated, or as many throws of the mask's seed; the first stays the same.

    Raises ValueError for hand-set numbers that repeat or lie outside the grid.
    """
    if mask.keep is None:
        generator = torch.Generator().manual_seed(mask.seed)
        return sample_keep(masks, grid, mask.ratio, mode=mask.sampling, generator=generator)
    kept = sorted(set(mask.keep))
    if len(kept) != len(mask.keep) or (kept and not 0 <= kept[0] <= kept[-1] < grid[0] * grid[1]):
        raise ValueError(f"The patches to keep must be different numbers from 0 to {grid[0] * grid[1] - 1}.")
    return torch.tensor([kept], dtype=torch.int64).expand(masks, -1)


def painted(clip: Clip, pixels: Tensor, keep: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) whose patches outside `keep` (B, k) are zero, which is the even grey of the normalisation's mean."""
    rows, columns = clip.grid
    shown = torch.zeros(len(keep), rows * columns, device=pixels.device).scatter_(1, keep, 1.0)
    side = clip.patch_size
    full = shown.view(-1, 1, rows, columns).repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)  # B 1 S S
    return pixels * full


def masked_features(clip: Clip, pixels: Tensor, keep: Tensor, hiding: Hiding = "drop") -> Tensor:
    """x̂_m (B, E), unit length: pictures (B or 1, 3, S, S) seen through masks (B, k)."""
    if hiding not in ("drop", "grey"):
        raise ValueError(f'Patches are hidden by "drop" or "grey", not {hiding!r}.')
    pixels = pixels.expand(len(keep), -1, -1, -1)
    if hiding == "grey":
        return clip.image_features(painted(clip, pixels, keep), normalize=True)
    return clip.image_features(pixels, keep, normalize=True)
