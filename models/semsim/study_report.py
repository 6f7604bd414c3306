"""From finished runs to the card: metrics with intervals, the table, and where the method does not win. Every sentence is made from numbers.

A number is the mean over the seeds; its interval redraws test pictures, all seeds answering the same pictures, so it speaks of other pictures like
these. "…_over_seeds" is the same mean with Student's t interval over the seeds, which differ in the labelled pictures. A gain is the first arm's
number less the second's on the same redrawn pictures; it carries the interval over seeds too.

Legend: N pictures, R seeds, K structures.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.semsim.plan import ARMS, FIXMATCH, OWN, SUPERVISED, Task
from models.semsim.study import Found
from models.shared import metrics
from models.shared.checkpoints import Metric

LADDER = ((OWN, FIXMATCH), (FIXMATCH, SUPERVISED))
"""The room's claim, step by step: each arm against the one it should not fall below."""


FEWEST = 20
"""Pictures on which a distance must be defined for it to be told."""


def metric_name(task: str, count: int, measure: str, arm: str) -> str:
    """The card's name of a number, such as "cardiac1/dice@fixmatch" for one labelled picture."""
    return f"{task}{count}/{measure}" + ("" if arm == OWN else f"@{arm}")


@dataclass(frozen=True, eq=False)
class Cell:
    """One arm's finished runs on one task with one number of labels."""

    task: Task
    arm: str
    labelled: float
    runs: tuple[Found, ...]

    @property
    def kind(self) -> Literal["real", "phantom"]:
        """Of its pictures."""
        return self.task.kind

    @property
    def count(self) -> int:
        """Labelled pictures."""
        return self.runs[0].labelled

    @property
    def unit(self) -> str:
        """Of distances."""
        return "mm" if self.task.kind == "phantom" else "px"

    def stacked(self, name: str) -> np.ndarray:
        """(R, N, K)."""
        return np.stack([getattr(run, name) for run in self.runs])


def mean_dice(values: np.ndarray | torch.Tensor) -> float:
    """(N, K) with NaN where a number is not defined: the mean over structures of the mean over pictures."""
    return float(np.nanmean(_nanmean(np.asarray(values), axis=0)))


# ---------------------------------------------------------------------- metrics
def card_metrics(cells: Sequence[Cell]) -> dict[str, Metric]:
    """Every number of the studies."""
    named: dict[str, Metric] = {}
    for cell in cells:
        named |= {metric_name(cell.task.id, cell.count, measure, cell.arm): metric for measure, metric in cell_metrics(cell).items()}
    return named


def cell_metrics(cell: Cell) -> dict[str, Metric]:
    """dice, dice_over_seeds, hd95, assd, missed, and shipped_dice where weights ship."""
    dice = cell.stacked("dice")
    found = {"dice": _over_pictures(cell, _nanmean(dice, axis=0))}
    found["dice_over_seeds"] = metrics.over_seeds([mean_dice(one) for one in dice], kind=cell.kind, share=True)
    for name in ("hd95", "assd"):
        values = _nanmean(cell.stacked(name), axis=0)
        # where a structure was hardly ever outlined the mean would speak of the others alone, and a redrawn set may hold none of it
        if (~np.isnan(values)).sum(axis=0).min() >= min(FEWEST, len(values)):
            found[name] = _over_pictures(cell, values, unit=cell.unit)
    present = ~np.isnan(dice[0])
    found["missed"] = _over_pictures(cell, np.where(present, 1 - cell.stacked("found").mean(axis=0), np.nan))
    if cell.kind == "phantom":
        found["shipped_dice"] = shipped_dice(dice[0], cell.kind)
    return found


def shipped_dice(dice: np.ndarray, kind: Literal["real", "phantom"]) -> Metric:
    """Mean Dice of one network from its (N, K) table."""
    return _bootstrapped(dice, kind)


def _over_pictures(cell: Cell, values: np.ndarray, unit: str = "") -> Metric:
    return _bootstrapped(values, cell.kind, unit)


def _bootstrapped(values: np.ndarray, kind: Literal["real", "phantom"], unit: str = "") -> Metric:
    """`mean_dice` of (N, K) with the house's bootstrap over pictures."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    strata = torch.zeros(len(tensor), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a redrawn set may lack a rarely outlined structure
        return metrics.bootstrap(lambda drawn, _: mean_dice(drawn), tensor, strata, kind=kind, unit=unit)


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean without NaN; NaN, and no warning, where nothing is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


# ---------------------------------------------------------------------- tables and sentences
def table(cells: Sequence[Cell]) -> list[dict]:
    """One row for each task, number of labels and arm: Dice of each structure and seed, kept shares over the training, seconds."""
    rows = []
    for cell in cells:
        arm, run = ARMS[cell.arm], cell.runs[0]
        each = _nanmean(_nanmean(cell.stacked("dice"), axis=0), axis=0)
        rows.append(
            {
                "task": cell.task.id,
                "kind": cell.kind,
                "labelled": cell.count,
                "of": run.pool,
                "arm": cell.arm,
                "label": arm.label,
                "weights": list(arm.weights),
                "t_aff": arm.t_aff,
                "t_cr": arm.t_cr,
                "dice": dict(zip(cell.task.structures, each.tolist(), strict=True)),
                "dice_seeds": [mean_dice(one.dice) for one in cell.runs],
                "curve": _mean_curve(cell.runs),
                "seconds": float(np.mean([one.seconds for one in cell.runs])),
                "steps": run.steps,
            }
        )
    return rows


def _mean_curve(runs: Sequence[Found]) -> dict[str, list[float]]:
    """The runs' curves averaged over seeds: losses, shares kept by tau in each loss, mean agreement."""
    first = runs[0].curve
    names = [name for name in first if all(name in run.curve and len(run.curve[name]) == len(first[name]) for run in runs)]
    return {name: np.mean([run.curve[name] for run in runs], axis=0).round(5).tolist() for name in names}


def gains(cells: Sequence[Cell]) -> list[dict]:
    """The method against every other arm of its task and number of labels, and FixMatch against labelled pictures alone."""
    by = {(cell.task.id, cell.count, cell.arm): cell for cell in cells}
    found = []
    for (task, count, arm), own in by.items():
        others = [other for (t, c, other) in by if (t, c) == (task, count)]
        rivals = [other for other in others if arm == OWN and other != OWN] + [SUPERVISED] * ((arm, SUPERVISED) in LADDER)
        for other in rivals:
            if (task, count, other) in by:
                found.append(_gain(own, by[task, count, other]))
    return found


def _gain(own: Cell, other: Cell) -> dict:
    apart = _nanmean(own.stacked("dice"), axis=0) - _nanmean(other.stacked("dice"), axis=0)
    metric = _over_pictures(own, apart)
    each = [mean_dice(a) - mean_dice(b) for a, b in zip(own.stacked("dice"), other.stacked("dice"), strict=True)]
    seeds = metrics.over_seeds(each, kind=own.kind)
    return {
        "task": own.task.id,
        "labelled": own.count,
        "arm": own.arm,
        "against": other.arm,
        "label": ARMS[other.arm].label,
        "measure": "dice",
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
        "seeds": {"values": each, "low": seeds.low, "high": seeds.high, "n": seeds.n},
    }


def verdict(one: Mapping) -> str:
    """ "better" or "worse" when the interval over pictures and, with several seeds, that over seeds agree; else "no difference shown"."""
    over = one["seeds"]
    low, high = (min(one["low"], over["low"]), max(one["high"], over["high"])) if over["n"] > 1 else (one["low"], one["high"])
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def findings(found: Sequence[Mapping], titles: Mapping[str, str]) -> list[str]:
    """The room's question at each number of labels, then every other comparison."""
    said = []
    for task, count in dict.fromkeys((one["task"], one["labelled"]) for one in found):
        here = {(one["arm"], one["against"]): one for one in found if (one["task"], one["labelled"]) == (task, count)}
        steps = [here[pair] for pair in LADDER if pair in here]
        told = "; ".join(f"{ARMS[one['arm']].label} against {one['label']}: {_shown(one)}, {verdict(one)}" for one in steps)
        if told:
            said.append(f"{titles[task]}, {count} labelled: Dice of {told}.")
        said += [
            f"{titles[task]}, {count} labelled: Dice of {ARMS[one['arm']].label} {_shown(one)} against {one['label']}: {verdict(one)}."
            for pair, one in here.items()
            if pair not in LADDER
        ]
    return said


def loses(found: Sequence[Mapping], titles: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each rival whose Dice is above the method's."""
    return tuple(
        f"{titles[one['task']]}, {one['labelled']} labelled: {one['label']} has the higher Dice by {-one['value']:.3f} "
        f"({-one['high']:.3f} to {-one['low']:.3f} over pictures){'' if verdict(one) == 'worse' else '; no difference is shown'}."
        for one in found
        if one["value"] < 0 and one["arm"] == OWN
    )


def _shown(one: Mapping) -> str:
    return f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f} over pictures, {one['seeds']['low']:+.3f} to {one['seeds']['high']:+.3f} over {one['seeds']['n']} seeds)"
