"""From finished runs to numbers with intervals. Intervals redraw test pictures; "…_over_seeds" speaks of the chance of training instead.

Test pictures are redrawn once an arm, and all measures are worked out on the same redrawn sets; arms see the same sets, so they can be told apart pair by pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.hsvlt.findings import BUCKETS, FINDINGS
from models.hsvlt.metrics import average_precisions, rates
from models.hsvlt.plan import ARMS, OWN, Task
from models.hsvlt.study import Found
from models.shared import metrics
from models.shared.checkpoints import Metric


@dataclass(frozen=True, eq=False)
class Redrawn:
    """An arm's measures on every redrawn set of test pictures and, in the last row, on the test pictures themselves."""

    aps: np.ndarray
    """(D + 1, K): average precision of every label, mean over the runs."""
    of1: np.ndarray
    """(D + 1,): F1 of all decisions at one half."""
    frame: Metric
    """What all numbers share: how many pictures, which kind, how the interval was made."""

    def mean_ap(self, chosen: Sequence[int] | None = None) -> Metric:
        """Mean average precision, of all labels or of some."""
        return self._told(np.nanmean(self.aps if chosen is None else self.aps[:, chosen], axis=1))

    @property
    def f1(self) -> Metric:
        """Of all decisions."""
        return self._told(self.of1)

    def gain(self, rival: Redrawn, chosen: Sequence[int]) -> Metric:
        """The mean over some labels minus the rival's on the same redrawn sets."""
        return self._told(np.nanmean(self.aps[:, chosen], axis=1) - np.nanmean(rival.aps[:, chosen], axis=1))

    def _told(self, drawn: np.ndarray) -> Metric:
        value = float(drawn[-1])
        low, high = np.percentile(drawn[:-1], [2.5, 97.5])
        return self.frame.model_copy(update={"value": value, "low": min(float(low), value), "high": max(float(high), value)})


def redrawn(task: Task, runs: Sequence[Found], y: np.ndarray) -> Redrawn:
    """All that is measured of an arm's runs on redrawn test pictures; y bool (N, K)."""
    aps, of1 = [], []

    def statistic(scores: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:  # scores N R K
        truth = _labels(codes, y.shape[1])
        by_run = scores.numpy().swapaxes(0, 1)
        aps.append(np.mean([average_precisions(one, truth) for one in by_run], axis=0))
        of1.append(np.mean([rates(one, truth).of1 for one in by_run]))
        return torch.tensor(np.nanmean(aps[-1]))

    frame = metrics.bootstrap(statistic, torch.from_numpy(np.stack([run.scores for run in runs], axis=1)), _codes(y), kind=task.kind)
    return Redrawn(np.array(aps), np.array(of1), frame)


def metric_name(task: Task, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{task.id}/{measure}" + ("" if arm == OWN else f"@{arm}")


def card_metrics(task: Task, arm: str, runs: Sequence[Found], y: np.ndarray, found: Redrawn) -> dict[str, Metric]:
    """All numbers of an arm on a task. y: bool (N, K); found: of the same runs."""
    made = {"map": found.mean_ap()}
    made["map_over_seeds"] = metrics.over_seeds(
        [float(np.nanmean(average_precisions(run.scores, y))) for run in runs], kind=task.kind, share=True
    )
    for place, label in enumerate(task.labels):
        made[f"ap_{label.replace(' ', '_')}"] = found.mean_ap([place])
    made["of1"] = found.f1
    if task.source == "findings":
        for bucket in BUCKETS:
            made[f"map_{bucket}"] = found.mean_ap(_of(bucket))
        looked = [run.pointing[~np.isnan(run.pointing)] for run in runs]
        if all(len(one) for one in looked):
            hits = np.concatenate(looked)
            made["pointing"] = metrics.share(int(hits.sum()), len(hits), kind=task.kind)
    return {metric_name(task, measure, arm): value for measure, value in made.items()}


def shipped(task: Task, arm: str, found: Redrawn) -> dict[str, Metric]:
    """The number of the one network that ships, under a name that says so; found: of that run alone."""
    return {metric_name(task, "shipped_map", arm): found.mean_ap()}


def findings(task: Task, found: Mapping[str, Redrawn]) -> list[str]:
    """Sentences made from the numbers: the method against each rival on the same pictures, and on the smallest and largest findings where there are any."""
    said = []
    groups = {"": list(range(len(task.labels)))}
    if task.source == "findings":
        groups |= {f" on the {bucket} findings": _of(bucket) for bucket in ("smallest", "largest")}
    for arm, rival in found.items():
        if arm == OWN:
            continue
        for words, chosen in groups.items():
            gain = found[OWN].gain(rival, chosen)
            verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
            said.append(
                f"{task.title}: mean average precision {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) against {ARMS[arm].label}{words}: {verdict}."
            )
    return said


def _of(bucket: str) -> list[int]:
    return [FINDINGS.index(one) for one in BUCKETS[bucket]]


def _codes(y: np.ndarray) -> torch.Tensor:
    """int64 (N,): each set of labels as one number, so that redrawn sets keep every label."""
    return torch.from_numpy((y.astype(np.int64) << np.arange(y.shape[1])).sum(1))


def _labels(codes: torch.Tensor, k: int) -> np.ndarray:
    return ((codes.numpy()[:, None] >> np.arange(k)) & 1).astype(bool)
