"""From finished runs to numbers with intervals. Intervals redraw test pictures; "…_over_seeds" speaks of the chance of training instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from models.hsvlt.findings import BUCKETS, FINDINGS
from models.hsvlt.metrics import average_precisions, rates
from models.hsvlt.plan import ARMS, OWN, Task
from models.hsvlt.study import Found
from models.shared import metrics
from models.shared.checkpoints import Metric


def metric_name(task: Task, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{task.id}/{measure}" + ("" if arm == OWN else f"@{arm}")


def card_metrics(task: Task, arm: str, runs: Sequence[Found], y: np.ndarray, *, shipped: bool = False) -> dict[str, Metric]:
    """All numbers of an arm on a task; `shipped`: of the one network that ships, under names that say so. y: bool (N, K)."""
    made = {"map": _redrawn(task, runs, y, lambda aps: np.nanmean(aps))}
    if not shipped:
        made["map_over_seeds"] = metrics.over_seeds(
            [float(np.nanmean(average_precisions(run.scores, y))) for run in runs], kind=task.kind, share=True
        )
        for place, label in enumerate(task.labels):
            made[f"ap_{label.replace(' ', '_')}"] = _redrawn(task, runs, y, lambda aps, k=place: aps[k])
        made["of1"] = _f1(task, runs, y)
        if task.source == "findings":
            for bucket, names in BUCKETS.items():
                chosen = [FINDINGS.index(one) for one in names]
                made[f"map_{bucket}"] = _redrawn(task, runs, y, lambda aps, c=chosen: np.nanmean(aps[c]))
            looked = [run.pointing[~np.isnan(run.pointing)] for run in runs]
            if all(len(one) for one in looked):
                hits = np.concatenate(looked)
                made["pointing"] = metrics.share(int(hits.sum()), len(hits), kind=task.kind)
    prefix = "shipped_" if shipped else ""
    return {metric_name(task, prefix + measure, arm): value for measure, value in made.items()}


def findings(task: Task, found: Mapping[str, Sequence[Found]], y: np.ndarray) -> list[str]:
    """Sentences made from the numbers: the method against each rival on the same pictures, and on the smallest findings where there are any."""
    said = []
    groups = {"": list(range(len(task.labels)))}
    if task.source == "findings":
        groups |= {
            f" on the {bucket} findings": [FINDINGS.index(one) for one in names]
            for bucket, names in BUCKETS.items()
            if bucket in ("smallest", "largest")
        }
    for arm, runs in found.items():
        if arm == OWN or OWN not in found:
            continue
        for words, chosen in groups.items():
            gain = _gain(task, found[OWN], runs, y, chosen)
            verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
            said.append(
                f"{task.title}: mean average precision {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) against {ARMS[arm].label}{words}: {verdict}."
            )
    return said


def _stack(runs: Sequence[Found]) -> np.ndarray:
    return np.stack([run.scores for run in runs], axis=1)  # N R K


def _mean_aps(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(K,): mean over runs of each label's average precision; scores (N, R, K)."""
    return np.mean([average_precisions(scores[:, run], y) for run in range(scores.shape[1])], axis=0)


def _redrawn(task: Task, runs: Sequence[Found], y: np.ndarray, measure) -> Metric:
    return metrics.bootstrap(
        lambda s, t: torch.tensor(measure(_mean_aps(s.numpy(), _labels(t, y.shape[1])))),
        torch.from_numpy(_stack(runs)), _codes(y), kind=task.kind,
    )  # fmt: skip


def _gain(task: Task, own: Sequence[Found], rival: Sequence[Found], y: np.ndarray, chosen: list[int]) -> Metric:
    a, b = _stack(own), _stack(rival)

    def statistic(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        values, truth = s.numpy(), _labels(t, y.shape[1])
        one, other = _mean_aps(values[:, : a.shape[1]], truth), _mean_aps(values[:, a.shape[1] :], truth)
        return torch.tensor(np.nanmean(one[chosen]) - np.nanmean(other[chosen]))

    return metrics.bootstrap(statistic, torch.from_numpy(np.concatenate([a, b], axis=1)), _codes(y), kind=task.kind)


def _f1(task: Task, runs: Sequence[Found], y: np.ndarray) -> Metric:
    return metrics.bootstrap(
        lambda s, t: torch.tensor(np.mean([rates(s[:, r].numpy(), _labels(t, y.shape[1])).of1 for r in range(s.shape[1])])),
        torch.from_numpy(_stack(runs)), _codes(y), kind=task.kind,
    )  # fmt: skip


def _codes(y: np.ndarray) -> torch.Tensor:
    """int64 (N,): each set of labels as one number, so that redrawn sets keep every label."""
    return torch.from_numpy((y.astype(np.int64) << np.arange(y.shape[1])).sum(1))


def _labels(codes: torch.Tensor, k: int) -> np.ndarray:
    return ((codes.numpy()[:, None] >> np.arange(k)) & 1).astype(bool)
