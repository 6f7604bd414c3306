"""The two tasks' losses and their sum, L = L_seg + α · L_cls (spec §3).

Source: the spec's description of the published code. Decisions: the target is one-hot first (as published, the Dice class stops with an
assertion); sums run over the whole batch, so classes absent from it cost little; Dice's denominator has plain sums, not squares (inferred).
Pictures without a mask take part in the class loss alone.

Legend: B pictures, K segmentation channels, H × W pixels, L classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1e-5
GAMMA = 2.0
CLAMP = 1e-3


def one_hot(target: Tensor, channels: int) -> Tensor:
    """Structure numbers int64 (B, H, W) as float (B, K, H, W); for one channel the target itself, 0 or 1."""
    if channels == 1:
        return target[:, None].float()
    return F.one_hot(target, channels).permute(0, 3, 1, 2).float()


def probabilities(logits: Tensor) -> Tensor:
    """(B, K, H, W): a sigmoid for one channel, a softmax for several."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def dice_each(probability: Tensor, target: Tensor) -> Tensor:
    """1 − (2 Σ p t + s) / (Σ p + Σ t + s) for each channel, sums over the batch: two (B, K, H, W) to (K,)."""
    both = (probability * target).sum(dim=(0, 2, 3))
    total = (probability + target).sum(dim=(0, 2, 3))
    return 1 - (2 * both + SMOOTH) / (total + SMOOTH)


def focal(probability: Tensor, target: Tensor, *, clamp: float = CLAMP) -> Tensor:
    """−(1 − q)^γ log q, q the probability of the truth, each channel against the rest; mean over pixels and channels.

    With the paper's clamp a structure whose probability has fallen below it gets no gradient here any more.
    """
    p = probability.clamp(clamp, 1 - clamp)
    q = torch.where(target > 0.5, p, 1 - p)
    return (-((1 - q) ** GAMMA) * q.log()).mean()


def segmentation_loss(logits: Tensor, target: Tensor, *, clamp: float = CLAMP) -> Tensor:
    """One structure: Dice. Several: Dice averaged over background and structures, plus focal. `target` int64 (B, H, W)."""
    p, t = probabilities(logits), one_hot(target, logits.shape[1])
    dice = dice_each(p, t).mean()
    return dice if logits.shape[1] == 1 else dice + focal(p, t, clamp=clamp)


def class_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Soft-margin loss of each class against the rest, mean; (B, L) logits and 0/1 targets, `weight` (L,)."""
    return F.multilabel_soft_margin_loss(logits, target.float(), weight=weight)


@dataclass(frozen=True)
class Losses:
    """One batch's losses; `total` is what is minimised."""

    total: Tensor
    seg: Tensor | None
    cls: Tensor | None


def joint_loss(
    seg: Tensor | None,
    cls: Tensor | None,
    masks: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.25,
    seg_weight: float = 1.0,
    has_mask: Tensor | None = None,
    weight: Tensor | None = None,
    clamp: float = CLAMP,
) -> Losses:
    """seg_weight · L_seg + α · L_cls. `masks` int64 (B, H, W), `labels` 0/1 (B, L), `has_mask` bool (B,) None where all have one.

    A task whose logits are None, or whose weight is 0, adds nothing and gets no gradient.
    """
    zero = labels.new_zeros((), dtype=torch.float32)
    seg_part = cls_part = None
    if seg is not None and seg_weight:
        drawn = slice(None) if has_mask is None else has_mask
        seg_part = segmentation_loss(seg[drawn], masks[drawn], clamp=clamp) if has_mask is None or has_mask.any() else zero
    if cls is not None and alpha:
        cls_part = class_loss(cls, labels, weight)
    total = (zero if seg_part is None else seg_weight * seg_part) + (zero if cls_part is None else alpha * cls_part)
    return Losses(total, seg_part, cls_part)
