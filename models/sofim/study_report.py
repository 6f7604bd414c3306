"""From finished runs to what the Evidence drawer shows: metrics with intervals, the table, curves, and where SOFIM does not win.

The sentences of `loses` are made from the numbers, one for each task and measure in which a baseline's mean (or median of steps) is better
than SOFIM's; nothing is left out and nothing is typed in. SOFIM's own variants (B, per tensor) are competitors in the table, not baselines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from models.shared import metrics
from models.shared.checkpoints import Metric
from models.sofim.arms import ARMS
from models.sofim.study import Study
from models.sofim.study_plan import Part

SAME = 1e-9  # means closer than this differ by the order of their sums alone
OWN = ("sofim", "sofim_b", "sofim_tensor")
RERUN_TASKS, RERUN_ARMS = ("digits_mlp", "breast_cancer_mlp"), ("sofim", "sgd_momentum", "adam")
"""Where the steps to the targets are cheap enough to be counted again by `evaluate`."""

_MEASURES = {"test_accuracy": "test accuracy", "test_loss": "test loss"}
_TARGETS = {"train_loss": "training loss", "test_loss": "test loss", "test_accuracy": "test accuracy"}


def metric_name(task_id: str, measure: str, arm_id: str) -> str:
    """The card's name of a number: SOFIM's plainly, another optimiser's with its id after an @."""
    return f"{task_id}/{measure}" + ("" if arm_id == "sofim" else f"@{arm_id}")


def over_seeds(values: Sequence[float], measure: str) -> Metric:
    """Mean over the reported seeds with its 95 % t-interval, which for an accuracy is cut at 0 and 1 and for a loss at 0."""
    over = metrics.over_seeds(values, unit="" if measure == "test_accuracy" else "nats")
    high = min(over.high, 1.0) if measure == "test_accuracy" else over.high
    return over.model_copy(update={"low": max(over.low, 0.0), "high": high})


def steps_metric(steps: Sequence[float | None]) -> Metric | None:
    """Median of the steps to a target with its range; None unless every seed reached it."""
    if any(step is None for step in steps):
        return None
    return Metric(
        value=median(steps), low=min(steps), high=max(steps), n=len(steps), unit="steps", interval=f"range over {len(steps)} seeds"
    )


def _median_or_none(values: Sequence[float | None]) -> float | None:
    """Seeds that never arrived count as infinitely late; None where the median seed did not arrive."""
    middle = median(math.inf if value is None else value for value in values)
    return middle if math.isfinite(middle) else None


def _target(finals: Sequence[dict], target: str) -> dict[str, object]:
    hits = [final["reached"].get(target) for final in finals]
    row = {name: _median_or_none([hit and hit[name] for hit in hits]) for name in ("step", "seconds", "words")}
    return {"reached": sum(hit is not None for hit in hits), "steps": row["step"], "seconds": row["seconds"], "words": row["words"]}


def at_edge(arm_id: str, chosen: Mapping[str, float], searched: Sequence[dict]) -> list[str]:
    """Knobs whose chosen value is the smallest or largest that was tried: a wider search might have found a better one."""
    found = []
    for hyper in ARMS[arm_id].hypers:
        tried = {record["hyper"][hyper.name] for record in searched if hyper.name in record["hyper"]}
        if len(tried) > 1 and chosen[hyper.name] in (min(tried), max(tried)):
            found.append(hyper.label)
    return found


def table_row(study: Study, part: Part, arm_id: str) -> dict[str, object]:
    """One line of the study's table; accuracy as a share, losses in nats, times in seconds, words of memory counted."""
    finals = [study.final_record(part, arm_id, seed) for seed in study.plan.seeds]
    searched, chosen = study.grid_records(part, arm_id), study.chosen(part, arm_id)
    row: dict[str, object] = {
        "task": part.task.id,
        "arm": arm_id,
        "label": ARMS[arm_id].label,
        "hyper": chosen,
        "at_edge": at_edge(arm_id, chosen, searched),
        "steps": part.steps_of(arm_id),
        "seeds": len(finals),
        "settings": len(searched),
        "diverged_settings": sum(record["diverged"] for record in searched),
        "diverged_runs": sum(final["diverged"] for final in finals),
        "ms_per_step": median(1e3 * final["seconds"] / max(1, final["steps"]) for final in finals),
        "words_per_step": median(final["words"] / max(1, final["steps"]) for final in finals),
        "targets": {target: _target(finals, target) for target in part.task.targets},
    }
    for measure in _MEASURES:
        over = over_seeds([final[measure] for final in finals], measure)
        row[measure] = {"mean": over.value, "low": over.low, "high": over.high}
    return row


def card_metrics(study: Study) -> dict[str, Metric]:
    """Every number that `evaluate` can compute again: end of each run, and steps to the targets where that is cheap."""
    named: dict[str, Metric] = {}
    for part in study.plan.parts:
        for arm_id in part.arms:
            finals = [study.final_record(part, arm_id, seed) for seed in study.plan.seeds]
            for measure in _MEASURES:
                named[metric_name(part.task.id, measure, arm_id)] = over_seeds([final[measure] for final in finals], measure)
            if part.task.id in RERUN_TASKS and arm_id in RERUN_ARMS:
                reached = [{name: hit["step"] for name, hit in final["reached"].items()} for final in finals]
                named |= steps_metrics(part, arm_id, reached)
    return named


def steps_metrics(part: Part, arm_id: str, reached: Sequence[Mapping[str, float]]) -> dict[str, Metric]:
    """`<task>/steps_to_<target>` for each target that every seed reached; `reached` holds target → step for each seed."""
    found = {target: steps_metric([hits.get(target) for hits in reached]) for target in part.task.targets}
    return {metric_name(part.task.id, f"steps_to_{target}", arm_id): metric for target, metric in found.items() if metric}


def curves(study: Study) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Task → optimiser → median over the seeds at each measured step, five digits; as far as every seed ran."""
    return {part.task.id: {arm_id: _curve(study, part, arm_id) for arm_id in part.arms} for part in study.plan.parts}


def _curve(study: Study, part: Part, arm_id: str) -> dict[str, list[float]]:
    all_seeds = [study.final_record(part, arm_id, seed)["curve"] for seed in study.plan.seeds]
    length = min(len(curve["step"]) for curve in all_seeds)
    return {name: [float(f"{median(c[name][i] for c in all_seeds):.5g}") for i in range(length)] for name in all_seeds[0]}


def _shown(measure: str, mean: Mapping[str, float]) -> str:
    if measure == "test_accuracy":
        return f"{100 * mean['mean']:.1f} %, 95 % interval {100 * mean['low']:.1f} to {100 * mean['high']:.1f}"
    return f"{mean['mean']:.3f}, 95 % interval {mean['low']:.3f} to {mean['high']:.3f}"


def _better(measure: str, one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    gain = one["mean"] - other["mean"] if measure == "test_accuracy" else other["mean"] - one["mean"]
    return gain > SAME


def _loses_at_end(rows: Mapping[str, dict], title: str, measure: str) -> str | None:
    own = rows["sofim"][measure]
    winners = [row for arm, row in rows.items() if arm not in OWN and _better(measure, row[measure], own)]
    if not winners:
        return None
    parts = []
    for row in winners:
        apart = row[measure]["low"] > own["high"] or row[measure]["high"] < own["low"]
        parts.append(f"{row['label']} ({_shown(measure, row[measure])}; {'intervals apart' if apart else 'intervals overlap'})")
    worse = "lower" if measure == "test_accuracy" else "higher"
    return f"{title}: SOFIM's {_MEASURES[measure]} ({_shown(measure, own)}) is {worse} than that of {'; '.join(parts)}."


def _steps(row: dict, target: str) -> float:
    steps = row["targets"][target]["steps"]
    return math.inf if steps is None else steps


def _with_batch(arm_id: str, label: str) -> str:
    return f"{label} (all rows at each step)" if ARMS[arm_id].full_batch else label


def _loses_on_the_way(rows: Mapping[str, dict], part: Part, target: str) -> str | None:
    own = _steps(rows["sofim"], target)
    winners = [
        (_with_batch(arm, row["label"]), _steps(row, target)) for arm, row in rows.items() if arm not in OWN and _steps(row, target) < own
    ]
    if not winners:
        return None
    took = "was not reached by the median run" if math.isinf(own) else f"took SOFIM {own:.0f} steps (median)"
    others = "; ".join(f"{label} {steps:.0f}" for label, steps in sorted(winners, key=lambda winner: winner[1]))
    goal = part.task.targets[target]
    return f"{part.task.title}: the target of a {_TARGETS[target]} of {goal:g} {took}; sooner: {others}."


def loses(table: Sequence[dict], parts: Sequence[Part]) -> tuple[str, ...]:
    """Every task and measure in which at least one baseline did better than SOFIM, as sentences."""
    sentences: list[str | None] = []
    for part in parts:
        rows = {row["arm"]: row for row in table if row["task"] == part.task.id}
        if "sofim" not in rows:
            continue
        sentences += [_loses_at_end(rows, part.task.title, measure) for measure in _MEASURES]
        sentences += [_loses_on_the_way(rows, part, target) for target in part.task.targets]
    return tuple(sentence for sentence in sentences if sentence)
