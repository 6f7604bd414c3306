"""The two views that SemSim adds: a prediction spread over an image's own similar pixels, and one asked of the labelled images' prototypes.

Source: arXiv 2410.13486, equations 4 to 13. Plain functions without weights, used by the losses and by the screen.
Legend: B pictures, L labelled ones, C classes, D channels, h side of the features, n = h² pixels, N cells a side.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Mode = Literal["logit", "prob"]
ABSENT = -1e4
"""Similarity of a class that a labelled picture does not show; its exponential is 0 at any temperature in use."""


# ---------------------------------------------------------------------- within an image
def cosines(features: Tensor) -> Tensor:
    """(B, D, h, h) to the cosine of every two pixels (B, n, n), float32 (equation 4)."""
    unit = F.normalize(features.float().flatten(2), dim=1)
    return unit.transpose(1, 2) @ unit


def affinity(features: Tensor, temperature: float) -> Tensor:
    """A (B, n, n): each pixel's row sums to 1 (equation 5, whose columns are these rows; the paper's temperature is 1)."""
    return (cosines(features) / temperature).softmax(dim=2)


def at_features(maps: Tensor, side: int) -> Tensor:
    """I(·): maps (B, C, H, H) at the features' side, bilinear."""
    return maps if maps.shape[-1] == side else F.interpolate(maps, (side, side), mode="bilinear", align_corners=False)


def spread(logits: Tensor, features: Tensor, temperature: float, mode: Mode = "logit") -> Tensor:
    """p_in or p_1^w (equation 6): logits (B, C, H, H) to log-probabilities (B, C, h, h).

    "logit": softmax(z + A z). "prob": (p + A p) / 2. Which of the two the paper means is open.
    """
    side = features.shape[-1]
    z = at_features(logits.float(), side)
    values = (z if mode == "logit" else z.softmax(dim=1)).flatten(2)  # B C n
    mixed = values + (affinity(features, temperature) @ values.transpose(1, 2)).transpose(1, 2)
    found = mixed.log_softmax(dim=1) if mode == "logit" else (mixed / 2).clamp_min(1e-12).log()
    return found.view(z.shape)


# ---------------------------------------------------------------------- across images
class Prototypes(NamedTuple):
    """Local class prototypes of labelled pictures (equation 7)."""

    vectors: Tensor
    """(L, N, N, C, D)."""
    local: Tensor
    """bool (L, N, N, C): whether the cell shows the class; elsewhere the picture's own prototype stands in."""
    present: Tensor
    """bool (L, C): whether the picture shows the class at all."""


def labels_at_features(labels: Tensor, side: int) -> Tensor:
    """Class numbers (L, H, H) at the features' side, nearest pixel."""
    if labels.shape[-1] == side:
        return labels
    return F.interpolate(labels[:, None].float(), (side, side), mode="nearest-exact")[:, 0].long()


def prototypes(features: Tensor, labels: Tensor, classes: int, cells: int) -> Prototypes:
    """Features (L, D, h, h) and class numbers (L, h, h) to class means of every cell; a class absent in a cell takes the whole picture's mean."""
    count, d, side = len(features), features.shape[1], features.shape[-1]
    w = side // cells
    values = features.float().reshape(count, d, cells, w, cells, w)
    hot = F.one_hot(labels, classes).to(values.dtype).view(count, cells, w, cells, w, classes)
    sums = torch.einsum("ldnump,lnumpc->lnmcd", values, hot)
    counts = hot.sum(dim=(2, 4))  # L N N C
    whole_counts = counts.sum(dim=(1, 2))  # L C
    whole = sums.sum(dim=(1, 2)) / whole_counts.clamp_min(1)[..., None]
    local = counts > 0
    means = torch.where(local[..., None], sums / counts.clamp_min(1)[..., None], whole[:, None, None])
    return Prototypes(means, local, whole_counts > 0)


def similarities(features: Tensor, found: Prototypes) -> Tensor:
    """m (B, L, C, h, h): cosine of every pixel and the prototypes of its own cell (equation 8); `ABSENT` where a picture lacks the class."""
    b, d, side, _ = features.shape
    cells = found.vectors.shape[1]
    w = side // cells
    unit = F.normalize(features.float(), dim=1).reshape(b, d, cells, w, cells, w)
    m = torch.einsum("bdnump,lnmcd->blcnump", unit, F.normalize(found.vectors, dim=-1))
    m = m.reshape(b, len(found.vectors), found.present.shape[1], side, side)
    return m.masked_fill(~found.present[None, :, :, None, None], ABSENT)


def query(m: Tensor, temperature: float) -> Tensor:
    """p_cr or p_2^w (equation 9): similarities (B, L, C, h, h) to log-probabilities (B, C, h, h)."""
    return (m / temperature).clamp_min(ABSENT).logsumexp(dim=1).log_softmax(dim=1)


def agreement(m: Tensor, sharpness: float) -> Tensor:
    """Ubar (B, h, h) in 0…1 (equations 10 to 12): mean over labelled pictures of exp(−r · KL(m(j) ‖ mean)); 1 when all say the same.

    The similarities become probabilities by a softmax over classes first, at temperature 1 (the paper does not normalise them).
    """
    p = m.double().softmax(dim=2)  # r is large: float32 would not give 1 where all agree
    mean = p.mean(dim=1, keepdim=True)
    divergence = (torch.xlogy(p, p) - torch.xlogy(p, mean)).sum(dim=2).clamp_min(0)  # B L h h
    return (-sharpness * divergence).exp().mean(dim=1).float()
