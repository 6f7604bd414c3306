"""Losses over independent labels (spec §5): binary cross-entropy, which the released run uses, and the asymmetric loss of its options."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bce(logits: Tensor, y: Tensor) -> Tensor:
    """Mean binary cross-entropy; logits and y (B, K)."""
    return F.binary_cross_entropy_with_logits(logits, y)


def asymmetric(logits: Tensor, y: Tensor, *, positive: float = 1.0, negative: float = 4.0, clip: float = 0.05) -> Tensor:
    """ASL (arXiv 2009.14119): summed; negatives shifted by `clip`, so that those with p ≤ clip cost nothing, and focused by γ₋; positives by γ₊."""
    p = logits.sigmoid()
    q = (1 - p + clip).clamp(max=1)
    ones, zeros = y * p.clamp_min(1e-8).log(), (1 - y) * q.clamp_min(1e-8).log()
    with torch.no_grad():
        weight = torch.where(y > 0, (1 - p) ** positive, (1 - q) ** negative)
    return -((ones + zeros) * weight).sum()
