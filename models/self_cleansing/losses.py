"""The supervised loss and the two measures of suspicion (spec §3 and §4; inferred).

L = ½ (cross-entropy + soft Dice); pixel loss l_p = −log P[Y_p]; picture loss s_i = 1 − soft Dice, mean over classes in the label or the prediction.
Legend: N pictures, C classes (background first), H × W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1e-5
FLOOR = 1e-7
"""Probabilities below are counted as this, so that a loss stays below 16.2."""


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Class numbers (N, H, W) as float32 (N, C, H, W)."""
    return F.one_hot(labels.long(), classes).permute(0, 3, 1, 2).float()


def training_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """½ (CE + 1 − Dice) over a batch; Dice is summed over the batch for each class, background too. `labels` (N, H, W)."""
    p, t = logits.softmax(dim=1), one_hot(labels, logits.shape[1])
    both, total = (p * t).sum(dim=(0, 2, 3)), (p + t).sum(dim=(0, 2, 3))
    dice = 1 - ((2 * both + SMOOTH) / (total + SMOOTH)).mean()
    return 0.5 * (F.cross_entropy(logits, labels.long()) + dice)


def pixel_losses(p: Tensor, labels: Tensor) -> Tensor:
    """−log P[Y_p]: probabilities (N, C, H, W) and labels (N, H, W) to (N, H, W)."""
    return -p.gather(1, labels.long()[:, None])[:, 0].clamp_min(FLOOR).log()


def picture_losses(p: Tensor, labels: Tensor) -> Tensor:
    """1 − soft Dice of each picture, (N,): mean over the structures in its label or its prediction; 0 where there is none in either.

    Background is left out: it would hide a small lesion's fault (inferred).
    """
    classes = p.shape[1]
    t = one_hot(labels, classes)[:, 1:].flatten(2)  # N C−1 HW
    said = one_hot(p.argmax(dim=1), classes)[:, 1:].flatten(2)
    here = t.any(dim=2) | said.any(dim=2)
    q = p[:, 1:].flatten(2)
    dice = (2 * (q * t).sum(dim=2) + SMOOTH) / ((q + t).sum(dim=2) + SMOOTH)
    return torch.where(here, 1 - dice, 0).sum(dim=1) / here.sum(dim=1).clamp_min(1)
