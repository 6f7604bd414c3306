"""The losses (equations 1, 2, 6, 13, 18 and 19), in the form of UniMatch's code where the paper is silent: hard pseudo-labels, soft Dice.

Legend: B pictures, C classes, H side of whatever map is compared; `kept` is 1 where the weak view is sure enough.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1e-10


class Pseudo(NamedTuple):
    """What a weak view says, without gradient."""

    labels: Tensor
    """int64 (B, H, H): the likeliest class."""
    confidence: Tensor
    """float32 (B, H, H): its probability."""

    def kept(self, tau: float) -> Tensor:
        """float32 (B, H, H): 1 where the confidence reaches tau."""
        return (self.confidence >= tau).float()


def pseudo(log_p: Tensor) -> Pseudo:
    """Log-probabilities (B, C, H, H) to labels and confidences."""
    confidence, labels = log_p.detach().max(dim=1)
    return Pseudo(labels, confidence.exp())


def dice_loss(p: Tensor, labels: Tensor, kept: Tensor | None = None) -> Tensor:
    """1 − (2 Σ p y + ε) / (Σ p² + Σ y² + ε), mean over classes; sums over the batch's kept pixels. 0 without any kept pixel."""
    truth = F.one_hot(labels, p.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
    weight = 1.0 if kept is None else kept[:, None]
    dims = (0, 2, 3)
    both = (p * truth * weight).sum(dims)
    size = (p.square() * weight).sum(dims) + (truth * weight).sum(dims)
    return (1 - (2 * both + SMOOTH) / (size + SMOOTH)).mean()


def supervised(logits: Tensor, labels: Tensor) -> Tensor:
    """L_s = ½ (cross-entropy + Dice) (equation 1)."""
    return 0.5 * (F.cross_entropy(logits, labels) + dice_loss(logits.softmax(dim=1), labels))


def consistency(log_p: Tensor, target: Pseudo, tau: float) -> Tensor:
    """L_u and L_intra: Dice of a strong view against the weak view's labels, where the weak view is sure (equations 2 and 6)."""
    return dice_loss(log_p.exp(), target.labels, target.kept(tau))


def cross(log_p: Tensor, target: Pseudo, ubar: Tensor, tau: float) -> Tensor:
    """L_cross: cross-entropy where the weak view is sure, weighted by the labelled pictures' agreement; mean over all pixels (equation 13)."""
    each = F.nll_loss(log_p, target.labels, reduction="none")
    return (target.kept(tau) * each * ubar).mean()


class Weights(NamedTuple):
    """Of the three unlabelled losses (equation 18: 0.5, 0.25, 0.25)."""

    u: float
    intra: float
    cross: float


def total(labelled: Tensor, unlabelled: Tensor | float) -> Tensor:
    """L = ½ (L_s + L~_u) (equation 19)."""
    return 0.5 * (labelled + torch.as_tensor(unlabelled))
