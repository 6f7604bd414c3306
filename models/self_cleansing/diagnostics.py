"""What one pass of filter and cleansing looked like, in plain numbers for curves and histograms. The planted truth is used here and nowhere in training.

Legend: N pictures, C classes, H × W pixels, Y given labels, Y' cleansed labels, GT truth.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.self_cleansing.cleansing import PROVENANCE, Assessment
from models.self_cleansing.filtering import VALUES, Fit
from models.self_cleansing.training import mean_dice

BINS = 24


def auroc(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Area under the ROC curve, scikit-learn's; None where one of the two answers is missing."""
    from sklearn.metrics import roc_auc_score

    truth = np.asarray(truth, bool)
    return float(roc_auc_score(truth, scores)) if 0 < truth.sum() < len(truth) else None


def rates(flagged: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    """Precision and recall of what was flagged; None where nothing was flagged, or nothing is wrong."""
    hits = int((flagged & truth).sum())
    return {"precision": hits / int(flagged.sum()) if flagged.any() else None, "recall": hits / int(truth.sum()) if truth.any() else None}


def describe(assessment: Assessment, given: Tensor, truth: Tensor | None, *, w: float = 0.5) -> dict:
    """One pass as JSON: `pictures` and `pixels` (class by class) with histogram, fit, AUROC, precision and recall; `labels`; `provenance`.

    Without `truth` (own pictures) histograms and fits alone.
    """
    wrong = None if truth is None else given != truth
    corrupted = None if wrong is None else wrong.flatten(1).any(dim=1)
    found: dict = {
        "pictures": _level(assessment.s, assessment.picture_w, assessment.picture_fit, corrupted, w),
        "pixels": [_pixels(assessment, (given == number) & assessment.inside, number, wrong, w) for number in range(assessment.p.shape[1])],
        "provenance": dict(
            zip(PROVENANCE, torch.bincount(assessment.cleansed.provenance.flatten().long(), minlength=3).tolist(), strict=True)
        ),
    }
    if truth is not None:
        found["pixel_level"] = _pixel_level(assessment, given, wrong, w)
        found["labels"] = label_quality(assessment.cleansed.labels, given, truth, assessment.p.shape[1])
    return found


def label_quality(cleansed: Tensor, given: Tensor, truth: Tensor, classes: int) -> dict:
    """Dice and share of wrong pixels before and after, and of the flips: precision (right now) and recall (of what was wrong)."""
    changed, wrong = cleansed != given, given != truth
    right = changed & (cleansed == truth)
    return {
        "dice_before": mean_dice(given, truth, classes),
        "dice_after": mean_dice(cleansed, truth, classes),
        "error_before": float(wrong.float().mean()),
        "error_after": float((cleansed != truth).float().mean()),
        "flip_precision": float(right.sum() / changed.sum()) if changed.any() else None,
        "flip_recall": float(right.sum() / wrong.sum()) if wrong.any() else None,
    }


def _level(losses: Tensor, w: Tensor, fit: Fit | None, wrong: Tensor | None, threshold: float) -> dict:
    """One histogram over the fit's range, the truly wrong ones counted apart."""
    values, flagged = losses.float().cpu().numpy(), (w < threshold).cpu().numpy()
    low, high = float(values.min(initial=fit.low if fit else 0.0)), float(values.max(initial=fit.high if fit else 1e-6))
    bad = np.zeros(len(values), bool) if wrong is None else wrong.cpu().numpy()
    counts = [np.histogram(values[part], BINS, (low, high))[0].tolist() for part in (~bad, bad)]
    level = {
        "low": low,
        "high": high,
        "right": counts[0],
        "wrong": counts[1],
        "fit": _rounded(fit),
        "flagged": int(flagged.sum()),
        "n": len(values),
    }
    return level if wrong is None else level | {"auroc": auroc(values, bad)} | rates(flagged, bad)


def _pixels(assessment: Assessment, here: Tensor, number: int, wrong: Tensor | None, threshold: float) -> dict:
    rows = here.flatten().nonzero()[:, 0]
    if len(rows) > VALUES:
        chosen = np.random.default_rng(number).choice(len(rows), VALUES, replace=False)
        rows = rows[torch.from_numpy(chosen).to(rows.device)]
    parts = (tensor.flatten()[rows] for tensor in (assessment.pixel_loss, assessment.w))
    return _level(*parts, assessment.fits[number], None if wrong is None else wrong.flatten()[rows], threshold)


def _pixel_level(assessment: Assessment, given: Tensor, wrong: Tensor, threshold: float) -> dict:
    """All classes together: AUROC of 1 − w inside, precision and recall of w below the threshold."""
    inside = assessment.inside
    suspicion, bad = (1 - assessment.w[inside]).cpu().numpy(), wrong[inside].cpu().numpy()
    return {"auroc": auroc(suspicion, bad)} | rates(suspicion > 1 - threshold, bad)


def _rounded(fit: Fit | None) -> dict | None:
    if fit is None:
        return None
    values = fit.as_json()
    return {name: [round(v, 5) for v in value] if isinstance(value, (list, tuple)) else value for name, value in values.items()}
