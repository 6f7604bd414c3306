"""From finished runs to numbers with intervals. Intervals redraw test pictures; "…_over_seeds" speaks of the chance of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from models.neural_tuning.heads import feature_errors
from models.neural_tuning.measures import OUTLINED, ious
from models.neural_tuning.plan import ARMS, OWN
from models.neural_tuning.study import Found
from models.neural_tuning.study_data import Cases
from models.shared import metrics
from models.shared.checkpoints import Metric

EVERYTHING, MEAN = "all_lesions", "mean_picture"
"""Two baselines behind which no network stands: outlining every lesion (from the truth), and always drawing the mean training picture."""
HEADLINE = {"describe/tokens": "share of right words in descriptions", "outline/miou": "mean IoU of outlines", "reason/miou": "mean IoU of reasoned outlines", "draw/cosine": "cosine of drawn features"}  # fmt: skip


def metric_name(measure: str, arm: str) -> str:
    """The card's name of a number."""
    return measure if arm == OWN else f"{measure}@{arm}"


def card_metrics(arm: str, runs: Sequence[Found]) -> dict[str, Metric]:
    """All numbers of an arm."""
    made: dict[str, Metric | None] = {}
    for split, prefix in (("test", ""), ("unseen", "unseen_"), ("swapped", "swapped_")):
        for measure, value in _of_split(runs, split).items():
            task, what = measure.split("/")
            made[f"{task}/{prefix}{what}"] = value
    for measure in HEADLINE:
        made[f"{measure}_over_seeds"] = metrics.over_seeds(
            [float(_mean(_scores([run], measure))) for run in runs], kind="phantom", share=True
        )
    return {metric_name(measure, arm): value for measure, value in made.items() if value is not None}


def shipped_metrics(arm: str, said: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """The headline numbers of the one network that ships, under names that say so; `said` as a run's "test"."""
    run = Found({"test": said}, {}, (0.0, 0.0), 0.0, "")
    found = {measure.replace("/", "/shipped_"): _redrawn(_scores([run], measure), _mean) for measure in HEADLINE}
    return {metric_name(measure, arm): value for measure, value in found.items() if value is not None}


def baselines(train: Cases, test: Cases, own: Found) -> dict[str, Metric]:
    """What is reached without a network, and what the painter's pictures are worth."""
    found: dict[str, Metric | None] = {}
    for task in OUTLINED:
        table = np.full((len(test), test.lesions.shape[1]), np.nan)
        for row, turns in enumerate(test.turns[task]):
            every = test.lesions[row].any(0)
            for place, lesion in enumerate(turns[0].objects):
                both, either = (every & test.lesions[row, lesion]).sum(), (every | test.lesions[row, lesion]).sum()
                table[row, place] = float(both) / max(float(either), 1)
        found[metric_name(f"{task}/miou", EVERYTHING)] = _redrawn(table, np.nanmean)
    mean = train.seen.feature.float().mean(0, keepdim=True)
    mae, cosine = feature_errors(mean.expand(len(test), -1), test.seen.feature.float())
    found[metric_name("draw/cosine", MEAN)] = _redrawn(cosine.numpy()[:, None], np.nanmean)
    found[metric_name("draw/mae", MEAN)] = _redrawn(mae.numpy()[:, None], np.nanmean)
    for place, arm in enumerate(("painter", MEAN)):
        value = own.painted[place]
        found[f"painting/grey_error@{arm}"] = Metric(
            value=value, low=value, high=value, n=len(test), kind="phantom", interval="none, one run"
        )
    return {name: value for name, value in found.items() if value is not None}


def findings(found: Mapping[str, Sequence[Found]]) -> list[str]:
    """Sentences made from the numbers: the full network against each other arm on the same pictures, in each of the four tasks."""
    said = []
    for measure, words in HEADLINE.items():
        own = _scores(found[OWN], measure)
        for arm, runs in found.items():
            if arm == OWN:
                continue
            both = np.concatenate([own, _scores(runs, measure)], axis=1)
            gain = _redrawn(both, lambda t, n=own.shape[1]: _mean(t[:, :n]) - _mean(t[:, n:]))
            verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
            said.append(f"{words[0].upper()}{words[1:]} {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) against “{ARMS[arm].label}”: {verdict}.")  # fmt: skip
    return said


def neurons(runs: Sequence[Found]) -> dict[str, object]:
    """The first seed's neurons, as the card keeps them."""
    return dict(runs[0].neurons)


def _of_split(runs: Sequence[Found], split: str) -> dict[str, Metric | None]:
    tables = runs[0].said[split]
    made: dict[str, Metric | None] = {}
    for task in ("describe", "reason"):
        if f"{task}/words" in tables:
            made[f"{task}/tokens"] = _redrawn(_scores(runs, f"{task}/tokens", split), _mean)
    if "describe/written" in tables:
        exact = _stacked(runs, split, "describe/written")
        made["describe/exact_traits"] = _redrawn(exact[..., 0], np.nanmean)
        made["describe/traits"] = _redrawn(exact[..., 1], np.nanmean)
    if "reason/written" in tables:
        written = _stacked(runs, split, "reason/written")
        made["reason/written_number_right"] = _redrawn(written[..., 0], np.nanmean)
        made["reason/written_objects_right"] = _redrawn(written[..., 1], np.nanmean)
    for task in OUTLINED:
        if f"{task}/overlap" not in tables:
            continue
        overlap = _stacked(runs, split, f"{task}/overlap")  # (N, R, M, 3)
        each = ious(overlap)
        made[f"{task}/miou"] = _redrawn(each, np.nanmean)
        pixels = np.where(overlap[..., :2] < 0, 0, overlap[..., :2]).sum(2)
        made[f"{task}/oiou"] = _redrawn(pixels, lambda t: t[..., 0].sum() / max(t[..., 1].sum(), 1))
        made[f"{task}/right_object"] = _redrawn(np.where(overlap[..., 2] < 0, np.nan, overlap[..., 2]), np.nanmean)
        if split == "test":
            for level in (50, 70, 90):
                made[f"{task}/precision_{level}"] = _redrawn(np.where(np.isnan(each), np.nan, each > level / 100), np.nanmean)
    if "draw/feature" in tables:
        feature = _stacked(runs, split, "draw/feature")
        for place, what in enumerate(("mae", "cosine", "farther")):
            made[f"draw/{what}"] = _redrawn(feature[..., place], np.nanmean)
    return made


def _stacked(runs: Sequence[Found], split: str, key: str) -> np.ndarray:
    """(N, R, …) floats."""
    return np.stack([run.said[split][key] for run in runs], axis=1).astype(float)


def _scores(runs: Sequence[Found], measure: str, split: str = "test") -> np.ndarray:
    """(N, R, …) whose `_mean` is a headline number: pairs (right, all) of words, IoUs, or cosines."""
    task, what = measure.split("/")
    if what == "tokens":
        return _stacked(runs, split, f"{task}/words")
    if what == "miou":
        return ious(_stacked(runs, split, f"{task}/overlap"))
    return _stacked(runs, split, f"{task}/feature")[..., 1]


def _mean(table: np.ndarray) -> float:
    """Of words (…, 2): all right ones among all; of other numbers (N, R) or (N, R, M): their mean, nothing counting for NaN."""
    if table.shape[-1:] == (2,) and table.ndim == 3:
        return float(table[..., 0].sum() / max(table[..., 1].sum(), 1))
    return float(np.nanmean(table))


def _redrawn(table: np.ndarray, measure: Callable[[np.ndarray], float]) -> Metric | None:
    """A measure over all runs, redrawn among the pictures in which something counts; None where nothing does."""
    counts = ~np.isnan(table.reshape(len(table), -1)).all(axis=1)
    if not counts.any():
        return None
    zeros = torch.zeros(int(counts.sum()), dtype=torch.long)
    return metrics.bootstrap(lambda t, _: torch.tensor(float(measure(t.numpy()))), torch.from_numpy(table[counts]), zeros, kind="phantom")
