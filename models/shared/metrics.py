"""Held-out numbers with their 95 % intervals, each as the `Metric` that goes into a card.

The measures are torchmetrics', the Wilson and t intervals SciPy's. Which interval when: shares of independent cases take Wilson's,
which stays inside 0…1 and holds near the ends; measures that are no plain share (AUROC, F1) take a bootstrap over cases; a number
repeated over seeds takes Student's t, and speaks of the training's chance, not of other patients.

Legend: N cases, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.shared.checkpoints import Metric

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["real", "phantom"]
CONFIDENCE = 0.95
RESAMPLES = 1000


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for `hits` of `n` cases; ValueError for no cases."""
    from scipy.stats import binomtest

    if n < 1:
        raise ValueError("A share needs at least one case; got none.")
    interval = binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def share(hits: int, n: int, *, kind: Kind = "real") -> Metric:
    """`hits` of `n` cases with Wilson's interval."""
    low, high = wilson(hits, n)
    return Metric(value=hits / n, low=low, high=high, n=n, kind=kind, interval="Wilson")


def accuracy(outputs: Tensor, y: Tensor, *, kind: Kind = "real") -> Metric:
    """Share of right answers. `outputs` (N, K) scores or (N,) class numbers; `y` (N,) class numbers."""
    from torchmetrics.functional.classification import multiclass_stat_scores

    answers = outputs.argmax(-1) if outputs.ndim == 2 else outputs
    _same_length(answers, y)
    classes = int(max(answers.max(), y.max())) + 1
    hits = multiclass_stat_scores(answers, y, num_classes=max(classes, 2), average="micro")[0]
    return share(int(hits), len(y), kind=kind)


def auroc(scores: Tensor, y: Tensor, *, seed: int = 0, kind: Kind = "real") -> Metric:
    """Area under the ROC curve with a bootstrap interval.

    `scores` (N,) for two classes (higher means class 1) or (N, K), averaged over classes one-against-the-rest; `y` (N,).
    ValueError when a class has no case, for which the area is not defined.
    """
    from torchmetrics.functional.classification import binary_auroc, multiclass_auroc

    _same_length(scores, y)
    classes = 2 if scores.ndim == 1 else scores.shape[1]
    if len(y.unique()) < classes:
        raise ValueError(f"The area under the curve needs cases of all {classes} classes; some have none here.")

    def statistic(scores: Tensor, y: Tensor) -> Tensor:
        if scores.ndim == 1:
            # Ranks say all that the area depends on; raw scores outside 0…1 would be squashed, and far ones made equal.
            return binary_auroc(scores.unique(return_inverse=True)[1].double() / len(scores), y, validate_args=False)
        return multiclass_auroc(scores.softmax(-1) if _raw(scores) else scores, y, num_classes=classes, validate_args=False)

    return bootstrap(statistic, scores, y, seed=seed, kind=kind)


def macro_f1(outputs: Tensor, y: Tensor, *, classes: int, seed: int = 0, kind: Kind = "real") -> Metric:
    """F1 averaged over the classes, all weighing the same, with a bootstrap interval. `outputs` (N, K) scores or (N,) class numbers."""
    from torchmetrics.functional.classification import multiclass_f1_score

    answers = outputs.argmax(-1) if outputs.ndim == 2 else outputs
    _same_length(answers, y)

    def statistic(answers: Tensor, y: Tensor) -> Tensor:
        return multiclass_f1_score(answers, y, num_classes=classes, average="macro", validate_args=False)

    return bootstrap(statistic, answers, y, seed=seed, kind=kind)


def bootstrap(
    statistic: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, y: Tensor, *, seed: int = 0, unit: str = "", kind: Kind = "real"
) -> Metric:
    """`statistic(outputs, y)` with the 2.5 and 97.5 percentiles over 1,000 redrawn sets of cases.

    Cases are redrawn within each class, so that no redrawn set lacks one. `outputs` (N, …), `y` (N,) of class numbers.
    """
    import torch

    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(y.numpy(force=True) == label) for label in y.unique().tolist()]
    outputs, y = outputs.detach().cpu(), y.cpu()
    drawn = []
    for _ in range(RESAMPLES):
        rows = torch.from_numpy(np.concatenate([random.choice(group, len(group)) for group in groups]))
        drawn.append(float(statistic(outputs[rows], y[rows])))
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = float(statistic(outputs, y))
    # A percentile interval may miss the value itself by a hair when all redrawn sets agree.
    return Metric(
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=len(y),
        unit=unit,
        kind=kind,
        interval=f"bootstrap, {RESAMPLES} draws",
    )


def over_seeds(values: Sequence[float], *, unit: str = "", kind: Kind = "real", share: bool = False) -> Metric:
    """Mean over runs with Student's t interval, cut to 0…1 for a `share`. One run has no interval; the card then says so. ValueError for none."""
    from scipy import stats

    runs = np.asarray(values, dtype=np.float64)
    if runs.size == 0:
        raise ValueError("A mean over seeds needs at least one run; got none.")
    mean = float(runs.mean())
    if runs.size == 1:
        return Metric(value=mean, low=mean, high=mean, n=1, unit=unit, kind=kind, interval="none, one run")
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, runs.size - 1) * stats.sem(runs))
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if share else (mean - half, mean + half)
    return Metric(value=mean, low=low, high=high, n=runs.size, unit=unit, kind=kind, interval=f"t over {runs.size} seeds")


def _raw(scores: Tensor) -> bool:
    """Whether rows are raw outputs rather than probabilities."""
    return bool((scores < 0).any() or ((scores.sum(-1) - 1).abs() > 1e-3).any())


def _same_length(outputs: Tensor, y: Tensor) -> None:
    if len(outputs) != len(y) or len(y) == 0:
        raise ValueError(f"There must be one answer for each case and at least one case; got {len(outputs)} answers for {len(y)} cases.")
