"""The loss of few-shot training: L = λ L_c + (1 − λ) L_e (form from a secondary source; its two terms are our reading, spec §5.4).

L_c is cross-entropy over the classes. L_e brings pictures and texts together within the batch: InfoNCE both ways, every picture and text of one
class counting as a pair (the mean over pairs, as in UniCL, Yang et al. 2022). λ = 1 is plain cross-entropy; a batch with one picture of each
class gives CLIP's own loss.

B pictures of the batch, C classes, E joint size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def alignment(v: Tensor, t: Tensor, y: Tensor, scale: Tensor | float) -> Tensor:
    """L_e, a scalar: pictures v (B, E) and the text of each one's class t (B, E), both of length one; y (B,) classes."""
    scores = scale * v @ t.mT  # B pictures × B texts
    pairs = (y[:, None] == y[None, :]).to(scores.dtype)
    pairs = pairs / pairs.sum(dim=1, keepdim=True)  # symmetric in the classes, so the columns sum to 1 too
    to_text = -(pairs * F.log_softmax(scores, dim=1)).sum(dim=1)
    to_picture = -(pairs * F.log_softmax(scores, dim=0)).sum(dim=0)
    return (to_text.mean() + to_picture.mean()) / 2


def focus_loss(v: Tensor, texts: Tensor, y: Tensor, scale: Tensor | float, *, balance: float = 0.5) -> Tensor:
    """L, a scalar: pictures v (B, E) and class texts (C, E), both of length one; y (B,); `balance` is λ. ValueError when λ is not in 0…1."""
    if not 0 <= balance <= 1:
        raise ValueError(f"The balance λ of the two losses is {balance}; it must lie between 0 and 1.")
    total = v.new_zeros(())
    if balance > 0:
        total = total + balance * F.cross_entropy(scale * v @ texts.mT, y)
    if balance < 1:
        total = total + (1 - balance) * alignment(v, texts[y], y, scale)
    return total


def entropy(probabilities: Tensor) -> Tensor:
    """Uncertainty of each row (…, C), in bits: 0 when sure, log2 C when all classes are alike."""
    return torch.special.entr(probabilities).sum(dim=-1) / math.log(2)
