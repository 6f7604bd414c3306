"""From finished runs to the card: metrics with intervals, what cleansing recovers, how well the filter finds planted errors. Sentences are made from numbers.

A number is the mean over the seeds; its interval redraws test pictures, all seeds answering the same ones. "…_over_seeds", and everything about training
labels, takes Student's t over the seeds, as each seed has training labels of its own. L is the last epoch, B the best on validation.

Legend: N pictures, S seeds, K structures.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.self_cleansing.plan import ARMS, CLEAN, DEFAULT, GUARD, NOISY, NONE, OWN, SETTINGS, Plan, Task
from models.self_cleansing.study import Found, RunId, found_of, kept_model, ships
from models.shared import metrics
from models.shared.checkpoints import Metric
from models.shared.segmentation_metrics import difference, mean

AUROC_BAR, RECOVERED_BAR, NEXT_TO_NOTHING = 0.9, 0.5, 0.02
MODELS = {"last": "L", "best": "B"}
LABELS = ("label_dice_before", "label_dice_after", "picture_auroc", "pixel_auroc", "flip_precision", "flip_recall")


@dataclass(frozen=True, eq=False)
class Cell:
    """One arm's finished runs in one setting."""

    task: Task
    setting: str
    arm: str
    runs: tuple[Found, ...]

    @property
    def place(self) -> str:
        """ "<task>-<setting>", as in the names of metrics."""
        return f"{self.task.id}-{self.setting}"

    @property
    def name(self) -> str:
        """ "<task>/<setting>/<arm>"."""
        return f"{self.task.id}/{self.setting}/{self.arm}"

    def per_picture(self, model: str = "last", name: str = "dice", runs: slice = slice(None)) -> np.ndarray:
        """(N,): mean over seeds and structures; NaN where none can be scored."""
        return _nanmean(np.stack([run.scores[model][name] for run in self.runs[runs]]), (0, 2))

    def labels(self, name: str) -> list[float]:
        """A number about the last pass over the training labels, seed by seed; those that have it."""
        found = []
        for run in self.runs:
            if run.final:
                value = {
                    "label_dice_before": run.final["labels"]["dice_before"],
                    "label_dice_after": run.final["labels"]["dice_after"],
                    "picture_auroc": run.final["pictures"].get("auroc"),
                    "pixel_auroc": run.final["pixel_level"]["auroc"],
                    "flip_precision": run.final["labels"]["flip_precision"],
                    "flip_recall": run.final["labels"]["flip_recall"],
                }[name]
                found += [] if value is None else [value]
        return found


def all_cells(plan: Plan, folder: Path, tasks: Sequence[Task] | None = None) -> list[Cell]:
    """Every cell of the plan from the folder's files. FileNotFoundError while a run is missing."""
    return [
        Cell(task, setting, arm, tuple(found_of(RunId(task.id, setting, arm, seed), folder) for seed in plan.seeds))
        for task in (plan.tasks if tasks is None else tasks)
        for setting, arm in task.arms()
    ]


def metric_name(place: str, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{place}/{measure}" + ("" if arm == OWN else f"@{arm}")


# ---------------------------------------------------------------------- metrics
def card_metrics(cells: Sequence[Cell]) -> dict[str, Metric]:
    """Every number of the studies."""
    return {metric_name(cell.place, measure, cell.arm): metric for cell in cells for measure, metric in cell_metrics(cell).items()}


def cell_metrics(cell: Cell) -> dict[str, Metric]:
    """The numbers of one cell."""
    kind, unit = cell.task.kind, "mm" if cell.task.kind == "phantom" else "px"
    found: dict[str, Metric | None] = {}
    for model in MODELS:
        found[f"dice_{model}"] = _over(cell.per_picture(model), kind)
        runs = [float(np.nanmean(run.scores[model]["dice"])) for run in cell.runs]
        found[f"dice_{model}_over_seeds"] = metrics.over_seeds(runs, kind=kind, share=True)
    found["hd95_last"] = _over(cell.per_picture(name="hd95"), kind, unit)
    found["missed_last"] = _over(cell.per_picture(name="missed"), kind)
    for name in LABELS:
        if ARMS[cell.arm].cleansing and (values := cell.labels(name)):
            found[name] = metrics.over_seeds(values, kind=kind, share=True)
    found |= shipped(cell)
    return {name: metric for name, metric in found.items() if metric is not None}


def shipped(cell: Cell) -> dict[str, Metric | None]:
    """Dice of the weights that ship, those of the first seed."""
    run = RunId(cell.task.id, cell.setting, cell.arm, 0)
    models = [model for model in cell.runs[0].scores if ships(cell.task) and kept_model(run, model)]
    return {f"shipped_dice_{model}": _over(cell.per_picture(model, runs=slice(1)), cell.task.kind) for model in models}


def _over(values: np.ndarray, kind: str, unit: str = "") -> Metric | None:
    return mean(torch.from_numpy(values), kind=kind, unit=unit)


def _nanmean(values: np.ndarray, axis) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


# ---------------------------------------------------------------------- what cleansing recovers
def gains(cells: Sequence[Cell]) -> list[dict]:
    """The cleansed arm against every other arm of its setting, and against true labels, paired by test pictures; for L and B."""
    by = {cell.name: cell for cell in cells}
    found = []
    for own in (cell for cell in cells if cell.arm == OWN):
        rivals = [cell for cell in cells if cell.task.id == own.task.id and cell.setting == own.setting and cell.arm != OWN]
        rivals += [by[name] for name in (f"{own.task.id}/{NONE}/{CLEAN}",) if name in by]
        for other in rivals:
            for model, letter in MODELS.items():
                metric = difference(
                    torch.from_numpy(own.per_picture(model)), torch.from_numpy(other.per_picture(model)), kind=own.task.kind
                )
                if metric is not None:
                    row = {
                        "task": own.task.id,
                        "setting": own.setting,
                        "against": other.arm,
                        "label": ARMS[other.arm].label,
                        "model": letter,
                    }
                    found.append(row | {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n})
    return [one | {"verdict": verdict(one)} for one in found]


def recovered(cells: Sequence[Cell]) -> list[dict]:
    """For each setting and model: Dice on true, noisy and cleansed labels, and the share of the loss that is won back.

    `share` is None where noise costs less than `NEXT_TO_NOTHING`, as a share of nothing says nothing.
    """
    by, found = {cell.name: cell for cell in cells}, []
    for own in (cell for cell in cells if cell.arm == OWN):
        clean, noisy = by.get(f"{own.task.id}/{NONE}/{CLEAN}"), by.get(f"{own.task.id}/{own.setting}/{NOISY}")
        if clean is None or noisy is None:
            continue
        for model, letter in MODELS.items():
            values = [float(np.nanmean(cell.per_picture(model))) for cell in (clean, noisy, own)]
            lost = values[0] - values[1]
            share = (values[2] - values[1]) / lost if lost >= NEXT_TO_NOTHING else None
            row = {
                "task": own.task.id,
                "setting": own.setting,
                "model": letter,
                "clean": values[0],
                "noisy": values[1],
                "cleansed": values[2],
            }
            low, high = (None, None) if share is None else _share_interval(clean, noisy, own, model)
            reached = None if share is None else share >= RECOVERED_BAR
            found.append(row | {"lost": lost, "share": share, "low": low, "high": high, "reached": reached})
    return found


def _share_interval(clean: Cell, noisy: Cell, own: Cell, model: str) -> tuple[float, float]:
    """95 % of redrawn trainings and test pictures, alike for the three arms, give a share won back between these.

    A draw in which errors cost nothing counts as far off; −10 and 10 stand for everything beyond.
    """
    table = np.stack([np.stack([_nanmean(run.scores[model]["dice"], 1) for run in cell.runs]) for cell in (clean, noisy, own)])  # 3 S N
    table = table[:, :, np.isfinite(table).all(axis=(0, 1))]
    dice, shares = np.random.default_rng(0), []
    for _ in range(metrics.RESAMPLES):
        seeds, rows = dice.integers(0, table.shape[1], table.shape[1]), dice.integers(0, table.shape[2], table.shape[2])
        true, wrong, cleansed = table[:, seeds][:, :, rows].mean(axis=(1, 2))
        shares.append((cleansed - wrong) / (true - wrong) if true > wrong else 10 * np.sign(cleansed - wrong))
    return tuple(float(np.clip(v, -10, 10)) for v in np.quantile(shares, (0.025, 0.975)))


def detection(cells: Sequence[Cell]) -> list[dict]:
    """How well the cleansed arm's last pass finds the planted errors: mean over seeds, and whether it reaches the bar."""
    found = []
    for cell in cells:
        if cell.arm == OWN and (pictures := cell.labels("picture_auroc")):
            row = {"task": cell.task.id, "setting": cell.setting, "picture_auroc": float(np.mean(pictures))}
            row |= {name: float(np.mean(values)) if (values := cell.labels(name)) else None for name in LABELS if name != "picture_auroc"}
            found.append(row | {"reached": row["picture_auroc"] >= AUROC_BAR})
    return found


def guard(cells: Sequence[Cell]) -> dict | None:
    """What cleansing does to true labels: share of passes that called themselves off, Dice of the labels after, Dice beside the plain training."""
    by = {(cell.task.id, cell.arm): cell for cell in cells if cell.setting == NONE}
    for task in {cell.task.id for cell in cells}:
        if (task, GUARD) in by and (task, CLEAN) in by:
            own, clean = by[task, GUARD], by[task, CLEAN]
            dice = {name: float(np.nanmean(cell.per_picture())) for name, cell in (("guard", own), ("clean", clean))}
            return dice | {
                "quiet": float(np.mean([run.quiet for run in own.runs if run.quiet is not None])),
                "label_dice": float(np.mean(own.labels("label_dice_after"))),
            }
    return None


# ---------------------------------------------------------------------- tables and sentences
def table(cells: Sequence[Cell]) -> list[dict]:
    """One row for each cell: Dice of L and B, of each structure and seed, the labels, seconds."""
    rows = []
    for cell in cells:
        each = _nanmean(np.stack([run.scores["last"]["dice"] for run in cell.runs]), (0, 1))
        row = {"task": cell.task.id, "kind": cell.task.kind, "setting": cell.setting, "arm": cell.arm, "label": ARMS[cell.arm].label}
        row |= {f"dice_{model}": float(np.nanmean(cell.per_picture(model))) for model in cell.runs[0].scores}
        row |= {
            "structures": dict(zip(cell.task.structures, each.tolist(), strict=True)),
            "best_epochs": [run.best_epoch for run in cell.runs],
        }
        row |= {"dice_seeds": [float(np.nanmean(run.scores["last"]["dice"])) for run in cell.runs]}
        row |= {name: float(np.mean(values)) for name in LABELS if (values := cell.labels(name))}
        rows.append(row | {"seconds": float(np.mean([run.seconds for run in cell.runs])), "steps": cell.runs[0].steps})
    return rows


def epochs(cells: Sequence[Cell]) -> dict[str, str]:
    """Cell's name → its first seed's epochs as a JSON text, kept short; `insight.epochs` reads it."""
    return {cell.name: json.dumps(cell.runs[0].epochs, separators=(",", ":")) for cell in cells}


def verdict(one: Mapping) -> str:
    """ "better", "worse" or "no difference shown", by the gain's interval."""
    return "better" if one["low"] > 0 else "worse" if one["high"] < 0 else "no difference shown"


def words(setting: str) -> str:
    """A setting in words."""
    noise = SETTINGS[setting]
    return "true labels" if noise is None else f"{noise.kind} noise on {noise.alpha:.0%} of the pictures"


def findings(cells: Sequence[Cell]) -> list[str]:
    """The questions of the room: what is won back, whether errors are found, what happens to true labels, what each part does."""
    said, titles = [], {cell.task.id: cell.task.title for cell in cells}
    for one in recovered(cells):
        start = f"{titles[one['task']]}, {words(one['setting'])}, {one['model']}-model: true labels {one['clean']:.3f}, noisy {one['noisy']:.3f}, cleansed {one['cleansed']:.3f}"
        end = "noise costs next to nothing here" if one["share"] is None else f"{one['share']:.0%} of the loss won back {_span(one)}"
        said.append(f"{start}; {end}.")
    for one in detection(cells):
        bar = "reaches" if one["reached"] else "misses"
        said.append(
            f"{titles[one['task']]}, {words(one['setting'])}: wrong labels of pictures are ranked with AUROC {one['picture_auroc']:.3f}, which {bar} "
            f"{AUROC_BAR:g}; Dice of the labels {one['label_dice_before']:.3f} before and {one['label_dice_after']:.3f} after."
        )
    if one := guard(cells):
        said.append(
            f"True labels: cleansing called itself off in {one['quiet']:.0%} of its passes and left labels with Dice {one['label_dice']:.3f} to the truth; "
            f"the network has {one['guard']:.3f} beside {one['clean']:.3f} without cleansing."
        )
    said += [
        f"{words(one['setting']).capitalize()}: {_shown(one)} against {one['label']}: {one['verdict']}."
        for one in gains(cells)
        if _part(one)
    ]
    return said


def _part(one: Mapping) -> bool:
    return one["setting"] == DEFAULT and one["model"] == "L" and one["against"] not in (NOISY, CLEAN)


def loses(found: Sequence[Mapping]) -> tuple[str, ...]:
    """One sentence for each rival, true labels left out, whose Dice is above the method's."""
    return tuple(
        f"{one['task']}, {words(one['setting'])}, {one['model']}-model: {one['label']} has the higher Dice by {-one['value']:.3f} "
        f"({-one['high']:.3f} to {-one['low']:.3f}){'' if one['high'] < 0 else '; the interval holds 0'}."
        for one in found
        if one["value"] < 0 and one["against"] != CLEAN
    )


def _span(one: Mapping) -> str:
    return f"({one['low']:.0%} to {one['high']:.0%})"


def _shown(one: Mapping) -> str:
    return f"Dice {one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"
