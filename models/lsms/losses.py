"""Losses (spec §3): weighted cross-entropy and soft Dice for the outline, and a contrast of pixels with the sentence (its form inferred).

Legend: B pictures, D width, h×w places, H×W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.lsms.network import Output

WEIGHTS = (0.9, 1.1)
"""Of background and lesion, as in the predecessor's code."""
LAMBDA, TAU = 0.2, 0.1
HARDEST = 64
"""Pixels; four small lesions, or most of a large one, in a picture of 64 × 64."""


def outline_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy with the weights plus soft Dice over each picture; logits (B, 1, H, W), mask (B, H, W) of 0 and 1.

    For an empty mask Dice's +1 lets an empty outline cost nothing.
    """
    target = mask[:, None].float()
    weight = WEIGHTS[0] + (WEIGHTS[1] - WEIGHTS[0]) * target
    p = logits.sigmoid().flatten(1)
    flat = target.flatten(1)
    dice = 1 - (2 * (p * flat).sum(1) + 1) / (p.sum(1) + flat.sum(1) + 1)
    return F.binary_cross_entropy_with_logits(logits, target, weight=weight) + dice.mean()


def contrast_loss(pixels: Tensor, sentence: Tensor, mask: Tensor, tau: float = TAU) -> Tensor:
    """BCE of σ(z_p·t / τ) with the mask made as small by area; pixels (B, D, h, w) and sentence (B, D) of length 1 (inferred)."""
    share = F.adaptive_avg_pool2d(mask[:, None].float(), pixels.shape[-2:])[:, 0]
    return F.binary_cross_entropy_with_logits(torch.einsum("bdhw,bd->bhw", pixels, sentence) / tau, share)


def false_outline_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the HARDEST highest pixels of pictures whose target is empty, over all pictures; logits (B, 1, H, W), mask (B, H, W) (inferred).

    Where nothing fits, soft Dice, 1 − 1/(Σp + 1), has no slope left once a false outline is certain, and cross-entropy shares it among all pixels: so
    certain false outlines were never unlearned ("the large lesion" where all are small: right for 1 of 9 after 10,000 steps).
    """
    empty = ~mask.flatten(1).any(1)
    hardest = F.softplus(logits.flatten(1)).topk(HARDEST, dim=1).values.mean(1)
    return (hardest * empty).mean()


def total_loss(out: Output, mask: Tensor, *, contrast: float = LAMBDA, emptiness: float = 0.0) -> Tensor:
    """L_seg + λ L_vl + μ L_empty."""
    loss = outline_loss(out.logits, mask)
    if emptiness:
        loss = loss + emptiness * false_outline_loss(out.logits, mask)
    return loss + contrast * contrast_loss(out.pixels, out.sentence, mask) if contrast else loss
