"""From finished runs to numbers with intervals. Intervals redraw test pictures with all their texts; "…_over_seeds" speaks of the chance of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from models.mit.plan import ARMS, OFF, OWN, TOKENS, Task
from models.mit.study import Found
from models.mit.study_data import Cases
from models.shared import metrics
from models.shared.backbones.language.referring import KINDS, RELATIONAL
from models.shared.checkpoints import Metric
from models.shared.prompt_interaction import report
from models.shared.prompt_interaction import study as notes_study

EVERYTHING = "all_lesions"
"""The baseline that outlines every lesion, whatever the phrase; from the truth, so no network stands behind it."""


def metric_name(task: Task, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{task.id}/{measure}" + ("" if arm == OWN else f"@{arm}")


def card_metrics(task: Task, arm: str, runs: Sequence[Found], test: Cases, unseen: Cases, *, shipped: bool = False) -> dict[str, Metric]:
    """All numbers of an arm; `shipped`: of the one network that ships, under names that say so."""
    if task.id == "notes":  # the same measures as the rooms that ask the same question by other means
        said = [notes_study.Found(run.said["test"], run.said["unseen"], run.said["swapped"], run.seconds, run.hardware) for run in runs]
        return report.card_metrics(arm, said, test.pairs, unseen.pairs, shipped=shipped)
    ious = _ious(runs, "test")
    made = {"miou": _redrawn(ious)}
    if not shipped:
        relational = np.isin(test.kinds, [KINDS.index(kind) for kind in RELATIONAL])
        made["miou_relational"] = _redrawn(np.where(relational[:, None], ious, np.nan))
        made["miou_plain"] = _redrawn(np.where(relational[:, None], np.nan, ious))
        made |= {f"miou_{kind}": _redrawn(np.where((test.kinds == place)[:, None], ious, np.nan)) for place, kind in enumerate(KINDS)}
        made["unseen_miou"], made["swapped_miou"] = _redrawn(_ious(runs, "unseen")), _redrawn(_ious(runs, "swapped"))
        made["precision_50"] = _redrawn((ious > 0.5).astype(float))
        made["oiou"] = _overall(runs)
        made["miou_over_seeds"] = metrics.over_seeds([float(ious[:, r].mean()) for r in range(ious.shape[1])], kind="phantom", share=True)
    prefix = "shipped_" if shipped else ""
    return {metric_name(task, prefix + measure, arm): value for measure, value in made.items() if value is not None}


def all_lesions(task: Task, test: Cases) -> dict[str, Metric]:
    """What outlining every lesion would reach."""
    everything = test.every[:, None]
    both, either = (everything & test.target).sum((-2, -1)), (everything | test.target).sum((-2, -1))
    return {metric_name(task, "miou", EVERYTHING): _redrawn((both / either.clamp_min(1)).numpy()[:, None])}


def findings(task: Task, found: Mapping[str, Sequence[Found]], test: Cases) -> list[str]:
    """Sentences made from the numbers: the method against each rival on the same pictures and texts."""
    said = []
    own = _scores(task, found[OWN], test)
    measure = "accuracy" if task.id == "notes" else "mean IoU"
    for arm, runs in found.items():
        if arm == OWN:
            continue
        gain = _redrawn(
            np.concatenate([own, _scores(task, runs, test)], axis=1), lambda t, n=own.shape[1]: t[:, :n].mean() - t[:, n:].mean()
        )
        verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
        said.append(
            f"{task.title} {measure} {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) against “{ARMS[arm].label}”: {verdict}."
        )
    return said


def speeds(found: Mapping[str, Sequence[Found]]) -> dict[str, float]:
    """Mean seconds of a training, for the arms whose cost is compared."""
    return {arm: float(np.mean([run.seconds for run in runs])) for arm, runs in found.items() if arm in (OWN, OFF, TOKENS)}


def _scores(task: Task, runs: Sequence[Found], test: Cases) -> np.ndarray:
    """(N, R, M): right or not, or IoU."""
    if task.id != "notes":
        return _ious(runs, "test")
    return np.stack([(run.said["test"].argmax(-1) == test.target.numpy()).astype(float) for run in runs], axis=1)


def _ious(runs: Sequence[Found], key: str) -> np.ndarray:
    """(N, R, M); no phrase here means nothing, so the union holds a pixel unless a lesion vanished when made small: then 1 for nothing outlined."""
    table = np.stack([run.said[key] for run in runs], axis=1).astype(float)
    return np.where(table[..., 1] > 0, table[..., 0] / np.maximum(table[..., 1], 1), 1.0)


def _overall(runs: Sequence[Found]) -> Metric:
    table = np.stack([run.said["test"] for run in runs], axis=1).astype(float)
    return _redrawn(table, lambda t: t[..., 0].sum() / max(t[..., 1].sum(), 1))


def _redrawn(table: np.ndarray, measure: Callable[[np.ndarray], float] = np.nanmean) -> Metric | None:
    """A mean (or another measure) over all texts of all runs, redrawn among the pictures in which something counts; None where nothing does."""
    counts = ~np.isnan(table.reshape(len(table), -1)).all(axis=1)
    if not counts.any():
        return None
    zeros = torch.zeros(int(counts.sum()), dtype=torch.long)
    return metrics.bootstrap(lambda t, _: torch.tensor(float(measure(t.numpy()))), torch.from_numpy(table[counts]), zeros, kind="phantom")
