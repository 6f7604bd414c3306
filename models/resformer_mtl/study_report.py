"""From finished runs to the card: metrics with intervals, the table, calibration, and where the method does not win. Every sentence is made from numbers.

A number is the mean over the seeds; its interval redraws test pictures (within their labels), all seeds answering the same pictures, so it speaks of
other pictures like these. "…_over_seeds" is the same mean with Student's t interval over the seeds, which speaks of the training's chance. A gain
is the method's number less a rival's on the same redrawn pictures.

Legend: N pictures, S seeds, K structures, L classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from models.resformer_mtl.plan import ARMS, OWN, TWINS, Task
from models.resformer_mtl.study import Found, RunId, Study
from models.resformer_mtl.study_data import Cases
from models.shared import metrics
from models.shared.checkpoints import Metric

BINS = 10
THRESHOLD = 0.5
SEGMENTATION = ("dice", "dice_over_seeds", "hd95", "assd", "missed", "false_alarm")
CLASSES = ("auroc", "auroc_over_seeds", "accuracy", "sensitivity", "specificity", "ece")
_WORDS = {"dice": "Dice", "auroc": "AUROC"}


def metric_name(task_id: str, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{task_id}/{measure}" + ("" if arm == OWN else f"@{arm}")


@dataclass(frozen=True, eq=False)
class Cell:
    """One arm's finished runs on one task."""

    task: Task
    arm: str
    runs: tuple[Found, ...]
    cases: Cases

    @property
    def kind(self) -> str:
        """ "real" or "phantom"."""
        return self.task.kind

    @property
    def unit(self) -> str:
        """Of distances."""
        return "mm" if self.task.kind == "phantom" else "px"

    def stacked(self, name: str) -> np.ndarray:
        """(S, N, K) or (S, N, L)."""
        return np.stack([getattr(run, name) for run in self.runs])


# ---------------------------------------------------------------------- measures of arrays
def mean_dice(dice: np.ndarray | Tensor) -> float:
    """(N, K) with NaN where the structure is absent: the mean over structures of the mean over pictures, as the paper averages."""
    return float(np.nanmean(_nanmean(np.asarray(dice), axis=0)))


def macro_auroc(scores: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> float:
    """(…, N, L) scores and (N, L) of 0 and 1: the mean over classes (and seeds) of the area under the ROC curve; ties count half.

    By ranks (Mann and Whitney), which a thousand redrawn sets can afford. Classes without both answers are left out.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    ones = labels.sum(axis=0)
    kept = (ones > 0) & (ones < len(labels))
    ranks = rankdata(scores[..., kept], axis=-2)
    ones, truth = ones[kept], labels[:, kept]
    return float((((ranks * truth).sum(axis=-2) - ones * (ones + 1) / 2) / (ones * (len(labels) - ones))).mean())


def right(scores: np.ndarray, labels: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """(…, N, L) scores to (…, N): whether the likeliest class is true, or the share of classes on the right side of one half."""
    if exclusive:
        return (scores.argmax(-1) == labels.argmax(-1)).astype(np.float64)
    return ((scores > THRESHOLD) == (labels > 0)).mean(axis=-1)


def rates(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Sensitivity and specificity at one half, pooled over classes as the published code does; (…, N, L) and (N, L)."""
    said, truth = scores > THRESHOLD, np.broadcast_to(labels > 0, scores.shape)
    return float((said & truth).sum() / max(1, truth.sum())), float((~said & ~truth).sum() / max(1, (~truth).sum()))


def calibration_error(scores: Tensor, labels: Tensor) -> float:
    """Expected calibration error of all scores of all classes together, in `BINS` bins of equal width; (…, N, L) and (N, L)."""
    from torchmetrics.functional.classification import binary_calibration_error

    flat, truth = scores.contiguous().view(-1), labels.expand(scores.shape).contiguous().view(-1)
    return float(binary_calibration_error(flat, truth, n_bins=BINS, norm="l1", validate_args=False))


def reliability(scores: np.ndarray, labels: np.ndarray) -> list[dict]:
    """For each bin with scores: its ends, how many scores, their mean, the share that is true. (…, N, L) and (N, L)."""
    truth = np.broadcast_to(labels > 0, scores.shape)
    bins = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    found = []
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            found.append(
                {
                    "low": number / BINS,
                    "high": (number + 1) / BINS,
                    "n": int(inside.sum()),
                    "score": float(scores[inside].mean()),
                    "true": float(truth[inside].mean()),
                }
            )
    return found


# ---------------------------------------------------------------------- metrics
def card_metrics(cells: Sequence[Cell]) -> dict[str, Metric]:
    """Every number of the studies."""
    named: dict[str, Metric] = {}
    for cell in cells:
        measured = (segmentation_metrics(cell) if ARMS[cell.arm].segments else {}) | (
            class_metrics(cell) if ARMS[cell.arm].classifies else {}
        )
        named |= {metric_name(cell.task.id, measure, cell.arm): metric for measure, metric in measured.items()} | shipped_metrics([cell])
    return named


def shipped_metrics(cells: Sequence[Cell]) -> dict[str, Metric]:
    """The numbers of each cell's first run alone: the network that ships. They are what can be computed again from its weights."""
    named: dict[str, Metric] = {}
    for cell in cells:
        measured: dict[str, Metric] = {}
        if ARMS[cell.arm].segments:
            measured["shipped_dice"] = _over_pictures(cell, cell.runs[0].dice, mean_dice, cell.cases.has_mask)
        if ARMS[cell.arm].classifies:
            scores, truth, exclusive = cell.runs[0].scores, cell.cases.labels.numpy(), cell.task.exclusive
            both = np.stack([scores, truth], axis=1)  # N 2 L
            measured["shipped_auroc"] = _over_pictures(cell, both, lambda drawn: macro_auroc(drawn[:, 0].numpy(), drawn[:, 1].numpy()))
            measured["shipped_accuracy"] = _over_pictures(
                cell, right(scores, truth, exclusive=exclusive), lambda drawn: float(drawn.mean())
            )
            measured["shipped_ece"] = _over_pictures(
                cell, both, lambda drawn: calibration_error(drawn[:, :1].transpose(0, 1), drawn[:, 1].long())
            )
        named |= {metric_name(cell.task.id, measure, cell.arm): metric for measure, metric in measured.items()}
    return named


def segmentation_metrics(cell: Cell) -> dict[str, Metric]:
    """The measures named in `SEGMENTATION`, as far as the pictures can tell."""
    rows, dice = cell.cases.has_mask, cell.stacked("dice")
    found = {"dice": _over_pictures(cell, _nanmean(dice, axis=0), mean_dice, rows)}
    found["dice_over_seeds"] = metrics.over_seeds([mean_dice(one) for one in dice], kind=cell.kind, share=True)
    for name in ("hd95", "assd"):
        values = _nanmean(cell.stacked(name), axis=0)
        if not np.isnan(values).all():
            found[name] = _over_pictures(cell, values, mean_dice, rows, unit=cell.unit)
    seen, present = cell.stacked("found").mean(axis=0), ~np.isnan(dice[0])
    truth = present[rows.numpy()]
    if truth.any():
        found["missed"] = _over_pictures(cell, np.where(present, 1 - seen, np.nan), mean_dice, rows)
    if not truth.all():
        found["false_alarm"] = _over_pictures(cell, np.where(present, np.nan, seen), mean_dice, rows)
    return found


def class_metrics(cell: Cell) -> dict[str, Metric]:
    """The measures named in `CLASSES`; `agreement` of class and mask too, where a label is "any pixel of that structure"."""
    scores, labels = cell.stacked("scores"), cell.cases.labels
    by_picture = scores.transpose(1, 0, 2)  # N S L
    truth, exclusive = labels.numpy(), cell.task.exclusive
    packed = np.concatenate([by_picture, truth[:, None]], axis=1)  # N S+1 L: labels travel with their picture

    def split(drawn: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return drawn[:, :-1].numpy().transpose(1, 0, 2), drawn[:, -1].numpy()

    def over(statistic: Callable[[np.ndarray, np.ndarray], float]) -> Metric:
        return _over_pictures(cell, packed, lambda drawn: statistic(*split(drawn)))

    found = {"auroc": over(macro_auroc)}
    found["auroc_over_seeds"] = metrics.over_seeds([macro_auroc(one, truth) for one in scores], kind=cell.kind, share=True)
    found["accuracy"] = over(lambda s, y: float(right(s, y, exclusive=exclusive).mean()))
    found["sensitivity"], found["specificity"] = over(lambda s, y: rates(s, y)[0]), over(lambda s, y: rates(s, y)[1])
    found["ece"] = over(lambda s, y: calibration_error(torch.from_numpy(s), torch.from_numpy(y).long()))
    if not exclusive and ARMS[cell.arm].segments:
        agree = ((scores > THRESHOLD) == (cell.stacked("found") > 0)).mean(axis=(0, 2))
        found["agreement"] = _over_pictures(cell, agree, lambda drawn: float(drawn.mean()))
    return found


def gain(own: Cell, other: Cell, measure: str) -> Metric:
    """The method's `measure` ("dice" or "auroc") less the other's, with a paired interval over pictures."""
    if measure == "dice":
        apart = _nanmean(own.stacked("dice"), axis=0) - _nanmean(other.stacked("dice"), axis=0)
        return _over_pictures(own, apart, mean_dice, own.cases.has_mask)
    ours, theirs = own.stacked("scores").transpose(1, 0, 2), other.stacked("scores").transpose(1, 0, 2)
    seeds = ours.shape[1]
    packed = np.concatenate([ours, theirs, own.cases.labels.numpy()[:, None]], axis=1)  # N 2S+1 L

    def statistic(drawn: Tensor) -> float:
        values = drawn.numpy().transpose(1, 0, 2)
        return macro_auroc(values[:seeds], values[-1]) - macro_auroc(values[seeds:-1], values[-1])

    return _over_pictures(own, packed, statistic)


def _over_pictures(
    cell: Cell, values: np.ndarray, statistic: Callable[[Tensor], float], rows: Tensor | None = None, unit: str = ""
) -> Metric:
    """`statistic` of (N, …) with the house's bootstrap over pictures; `rows` bool (N,) leaves pictures out."""
    tensor, strata = torch.from_numpy(np.ascontiguousarray(values)), cell.cases.strata
    if rows is not None:
        tensor, strata = tensor[rows], strata[rows]
    return metrics.bootstrap(lambda drawn, _: statistic(drawn), tensor, strata, kind=cell.kind, unit=unit)


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean without NaN; NaN, and no warning, where nothing is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


# ---------------------------------------------------------------------- tables and sentences
def all_cells(study: Study) -> list[Cell]:
    """Every arm of every task, the method's own first."""
    cells = []
    for task in study.plan.tasks:
        for arm in sorted(task.arms, key=lambda arm: arm != OWN):
            runs = tuple(study.found(RunId(task.id, arm, seed)) for seed in study.plan.seeds)
            cells.append(Cell(task, arm, runs, study.tests(task)))
    return cells


def table(cells: Sequence[Cell]) -> list[dict]:
    """One row for each task and arm beyond the metrics: each structure and class, each seed, seconds."""
    rows = []
    for cell in cells:
        arm, labels = ARMS[cell.arm], cell.cases.labels.numpy()
        row: dict = {"task": cell.task.id, "kind": cell.kind, "arm": cell.arm, "label": arm.label, "alpha": cell.task.alpha(arm)}
        row |= {"seconds": float(np.mean([run.seconds for run in cell.runs])), "steps": cell.runs[0].steps}
        if arm.segments:
            each = _nanmean(_nanmean(cell.stacked("dice"), axis=0), axis=0)
            row["dice"] = dict(zip(cell.task.structures, each.tolist(), strict=True))
            row["dice_seeds"] = [mean_dice(run.dice) for run in cell.runs]
        if arm.classifies:
            scores = cell.stacked("scores")
            row["auroc"] = {name: macro_auroc(scores[..., [place]], labels[:, [place]]) for place, name in enumerate(cell.task.classes)}
            row["auroc_seeds"] = [macro_auroc(run.scores, labels) for run in cell.runs]
            row["reliability"] = reliability(scores, labels)
        rows.append(row)
    return rows


def gains(cells: Sequence[Cell]) -> list[dict]:
    """The method against every other arm of its task, measure by measure, as far as both learned it."""
    found = []
    for own in (cell for cell in cells if cell.arm == OWN):
        for other in (cell for cell in cells if cell.task.id == own.task.id and cell.arm != OWN):
            for measure, learned in (("dice", ARMS[other.arm].segments), ("auroc", ARMS[other.arm].classifies)):
                if learned:
                    metric = gain(own, other, measure)
                    found.append(
                        {"task": own.task.id, "against": other.arm, "label": ARMS[other.arm].label, "measure": measure}
                        | {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}
                    )
    return found


def verdict(one: Mapping) -> str:
    """ "better", "worse" or "no difference shown", by the gain's interval."""
    return "better" if one["low"] > 0 else "worse" if one["high"] < 0 else "no difference shown"


def findings(found: Sequence[Mapping], titles: Mapping[str, str]) -> list[str]:
    """The question of the room first: both tasks in one network against each alone."""
    said = []
    for task in dict.fromkeys(one["task"] for one in found):
        twins = {one["against"]: one for one in found if one["task"] == task and (one["against"], one["measure"]) in _TWIN_MEASURES}
        if len(twins) == len(TWINS):
            seg, cls = (verdict(twins[arm]) for arm in TWINS)
            won, lost = "better" in (seg, cls), "worse" in (seg, cls)
            answer = (
                "yes"
                if won and not lost
                else "one task gains, the other loses"
                if won
                else "no, it loses"
                if lost
                else "no difference is shown"
            )
            said.append(
                f"{titles[task]}: do both tasks in one network beat each alone? {answer.capitalize()}: "
                f"Dice {_shown(twins['seg_only'])} against segmentation alone, AUROC {_shown(twins['cls_only'])} against classes alone."
            )
        said += [
            f"{titles[task]}: {_WORDS[one['measure']]} {_shown(one)} against {one['label']}: {verdict(one)}."
            for one in found
            if one["task"] == task and one["against"] not in TWINS
        ]
    return said


_TWIN_MEASURES = {("seg_only", "dice"), ("cls_only", "auroc")}


def loses(found: Sequence[Mapping], titles: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each rival whose number is above the method's."""
    return tuple(
        f"{titles[one['task']]}: {one['label']} has the higher {_WORDS[one['measure']]} by {-one['value']:.3f} "
        f"({-one['high']:.3f} to {-one['low']:.3f}){'' if one['high'] < 0 else '; the interval holds 0'}."
        for one in found
        if one["value"] < 0
    )


def _shown(one: Mapping) -> str:
    return f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"
