"""ProMIM's objective: cross-entropy plus a pull of the learned class texts towards the hand-written ones (L = L_ce + λ L_kg).

B pictures, C classes, E joint size. The pull is KgCoOp's (arXiv 2303.13283, equation 4), taken over by ProMIM (arXiv 2508.04942).

Known deviation: the secondary source says "Euclidean distance"; it is read as the squared distance of unit vectors, which on them is
twice KgCoOp's released 1 − cos (inferred). So λ = 2 here is λ = 4 on 1 − cos.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pull_per_class(text: Tensor, hand: Tensor) -> Tensor:
    """‖ŵ_i − ŵ_i^clip‖², in 0…4: (B or 1, C) from learned `text` (B or 1, C, E) and hand-written `hand` (C, E), both of unit length."""
    return (text - hand).square().sum(dim=-1)


def knowledge_loss(text: Tensor, hand: Tensor) -> Tensor:
    """L_kg, a scalar: the mean of `pull_per_class` over classes and pictures."""
    return pull_per_class(text, hand).mean()


def objective(logits: Tensor, labels: Tensor, text: Tensor, hand: Tensor, *, weight: float) -> Tensor:
    """L = L_ce + λ L_kg, a scalar; logits (B, C), labels (B,) int64, `weight` = λ. λ = 0 leaves the second term out altogether."""
    loss = F.cross_entropy(logits, labels)
    return loss + weight * knowledge_loss(text, hand) if weight else loss
