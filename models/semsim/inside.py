"""Looks inside one picture: an affinity row, what spreading rectified, and features in two directions. Tensors in, frozen records of arrays out.

Legend: C classes, D channels, S side of the network's square, h side of the features, L labelled pictures.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.semsim.results import Affinity, Rectified, Scatter
from models.semsim.semantics import at_features

_CELLS = 48
_FEWEST = 8
"""Points of a class on either side below which no gap is given."""


def affinity_row(features: Tensor, logits: Tensor, pixel: tuple[int, int], temperature: float) -> Affinity:
    """One row of A (equation 5) from features (D, h, h); logits (C, S, S) tell on which classes its weight falls."""
    side = features.shape[-1]
    unit = F.normalize(features.flatten(1), dim=0)  # D n
    row = (unit[:, pixel[0] * side + pixel[1]] @ unit / temperature).softmax(dim=0)
    answer = at_features(logits[None], side)[0].argmax(dim=0).flatten()
    by_class = torch.zeros(len(logits)).index_add_(0, answer, row)
    entropy = float(-torch.xlogy(row, row).sum() / np.log(len(row)))
    return Affinity(row.view(side, side).numpy(), pixel, tuple(by_class.tolist()), min(1.0, entropy))


def rectified(logits: Tensor, features: Tensor, after: np.ndarray) -> Rectified:
    """The plain answer at the features' size against the spread one, with holes and pieces counted. logits (1, C, S, S), after (h, h)."""
    before = at_features(logits, features.shape[-1])[0].argmax(dim=0).to(torch.uint8).numpy()
    was, now = counted(before, logits.shape[1]), counted(after, logits.shape[1])
    return Rectified(before, after, before != after, was[0] - now[0], was[1] - now[1])


def counted(labels: np.ndarray, classes: int) -> tuple[int, int]:
    """Holes and pieces of all structures of (h, h) class numbers. A hole is background with structures all around it; corners connect pieces."""
    from scipy.ndimage import binary_fill_holes, label

    covered = labels > 0
    holes = label(binary_fill_holes(covered) & ~covered)[1]
    pieces = sum(label(labels == number, structure=np.ones((3, 3)))[1] for number in range(1, classes))
    return holes, pieces


def scatter(known: Tensor, labels: Tensor, features: Tensor, logits: Tensor, *, limit: int) -> Scatter:
    """Features of labelled pictures (L, D, h, h) with class numbers (L, h, h) and of one picture (D, h, h), in their two main directions."""
    from sklearn.decomposition import PCA

    answer = at_features(logits[None], features.shape[-1])[0].argmax(dim=0)
    clouds = [
        (F.normalize(known.permute(0, 2, 3, 1).flatten(0, 2), dim=1).numpy(), labels.flatten().numpy()),
        (F.normalize(features.permute(1, 2, 0).flatten(0, 1), dim=1).numpy(), answer.flatten().numpy()),
    ]
    random = np.random.default_rng(0)
    chosen = [_evenly(random, classes, limit // 2) for _, classes in clouds]
    values = np.concatenate([points[rows] for (points, _), rows in zip(clouds, chosen, strict=True)])
    classes = np.concatenate([names[rows] for (_, names), rows in zip(clouds, chosen, strict=True)]).astype(np.uint8)
    is_labelled = np.arange(len(values)) < len(chosen[0])
    pca = PCA(2, random_state=0).fit(values)
    points = pca.transform(values).astype(np.float32)
    explained = np.nan_to_num(pca.explained_variance_ratio_)
    gaps = {}
    for number in np.unique(classes).tolist():
        gap = density_gap(points[is_labelled & (classes == number)], points[~is_labelled & (classes == number)])
        if gap is not None:
            gaps[int(number)] = gap
    return Scatter(points, classes, is_labelled, (float(explained[0]), float(explained[1])), gaps)


def _evenly(random: np.random.Generator, classes: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` rows, small classes first whole, so that the background does not crowd them out."""
    groups = sorted((random.permutation(np.flatnonzero(classes == number)) for number in np.unique(classes)), key=len)
    kept: list[np.ndarray] = []
    for left, group in zip(range(len(groups), 0, -1), groups, strict=True):
        kept.append(group[: max(1, (limit - sum(map(len, kept))) // left)])
    return np.sort(np.concatenate(kept))


def density_gap(one: np.ndarray, other: np.ndarray) -> float | None:
    """Half the absolute difference of two clouds' (n, 2) kernel densities on a common grid, 0…1; None with too few or flat points."""
    from scipy.stats import gaussian_kde

    if min(len(one), len(other)) < _FEWEST:
        return None
    both = np.concatenate([one, other])
    low, high = both.min(axis=0), both.max(axis=0)
    edge = 0.15 * (high - low) + 1e-6
    axes = [np.linspace(a - e, b + e, _CELLS) for a, b, e in zip(low, high, edge, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(2, -1)
    try:
        densities = [gaussian_kde(cloud.T)(grid) for cloud in (one, other)]
    except np.linalg.LinAlgError:  # all points on a line
        return None
    if not all(d.sum() > 0 for d in densities):  # clouds so narrow that the grid meets none of them
        return None
    first, second = (d / d.sum() for d in densities)
    return float(0.5 * np.abs(first - second).sum())
