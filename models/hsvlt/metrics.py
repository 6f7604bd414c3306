"""Multi-label measures: average precision of a label (scikit-learn's), and precision, recall and F1 by label and overall at a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def average_precision(scores: np.ndarray, y: np.ndarray) -> float:
    """Mean of the precision at each positive; scores and y (N,). NaN without a positive."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, scores)) if y.any() else float("nan")


def average_precisions(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(K,): the same for all labels at once, fast enough to be redrawn a thousand times; scores and y (N, K). Equal scores count in their order."""
    order = np.argsort(-scores, axis=0, kind="stable")
    listed = np.take_along_axis(y, order, axis=0)
    precision = listed.cumsum(0) / np.arange(1, len(y) + 1)[:, None]
    with np.errstate(invalid="ignore"):
        return (precision * listed).sum(0) / np.where(listed.any(0), listed.sum(0), np.nan)


@dataclass(frozen=True)
class Rates:
    """Shares in 0…1; the mean over labels (C…) and over all decisions together (O…)."""

    precision: np.ndarray
    """(K,): of what was said to be there; NaN where nothing was."""
    recall: np.ndarray
    """(K,): of what is there; NaN where nothing is."""
    cf1: float
    of1: float


def rates(scores: np.ndarray, y: np.ndarray, threshold: np.ndarray | float = 0.5, *, top: int | None = None) -> Rates:
    """scores, y (N, K); threshold one number or one a label. top: only the highest so many of a picture may be said to be there."""
    said = scores >= threshold
    if top is not None:
        order = np.argsort(-scores, axis=1, kind="stable").argsort(axis=1, kind="stable")
        said &= order < top
    hits, told, true = (said & y).sum(0), said.sum(0), y.sum(0)
    with np.errstate(invalid="ignore"):
        precision, recall = hits / np.where(told, told, np.nan), hits / np.where(true, true, np.nan)
    cp, cr = (float(np.nanmean(np.nan_to_num(values))) for values in (precision, recall))
    op, orr = hits.sum() / max(told.sum(), 1), hits.sum() / max(true.sum(), 1)
    return Rates(precision, recall, _f1(cp, cr), _f1(float(op), float(orr)))


def _f1(p: float, r: float) -> float:
    return 2 * p * r / (p + r) if p + r else 0.0
