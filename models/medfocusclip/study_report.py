"""From finished runs to the card: metrics with intervals, the table, and where the method does not win. Every sentence is made from the numbers.

The method's own arm is "painted" (the paper's way). Accuracy stands on the card as the mean over the seeds with Wilson's interval for as many cases as there are test
*pictures*, not answers: the seeds answer the same pictures, so their answers are no independent cases. `accuracy_over_seeds` is the same mean with Student's t
interval over the seeds, which speaks of the training's chance and of which pictures were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.medfocusclip.study import RunId, Study, hits, percent
from models.medfocusclip.study_plan import ARMS, SHIPPED_FRACTION, Task
from models.shared import metrics
from models.shared.checkpoints import Metric

OWN = "painted"
UPPER_BOUNDS = ("painted_truth",)
"""Arms that know the truth of the test pictures: shown, but neither rivals nor own."""


def metric_name(task_id: str, fraction: float, measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{task_id}_{percent(fraction)}/{measure}" + ("" if arm == OWN else f"@{arm}")


def mean_share(correct: Sequence[int], n: int, kind: str) -> Metric:
    """Mean accuracy of several seeds on the same `n` pictures, with Wilson's interval for n cases."""
    value = sum(correct) / len(correct) / n
    low, high = metrics.wilson(round(value * n), n)
    how = f"Wilson, {n} pictures; mean of {len(correct)} seeds" if len(correct) > 1 else "Wilson"
    return Metric(value=value, low=min(low, value), high=max(high, value), n=n, kind=kind, interval=how)


def shipped_metric(correct: int, n: int, kind: str) -> Metric:
    """Accuracy of one shipped network."""
    return metrics.share(correct, n, kind=kind)


def card_metrics(study: Study) -> dict[str, Metric]:
    """Every number of the studies."""
    named: dict[str, Metric] = {}
    for task in study.plan.tasks:
        for fraction in task.fractions:
            for arm in sorted(task.arms, key=lambda arm: arm != OWN):
                named |= _cell(study, task, fraction, arm)
    return named


def _cell(study: Study, task: Task, fraction: float, arm: str) -> dict[str, Metric]:
    material = study.materials[task.id]
    records = [study.record(RunId(task.id, arm, fraction, seed)) for seed in study.plan.seeds]
    n = len(material.test)
    correct = [hits(record, material.test) for record in records]
    found = {"accuracy": mean_share(correct, n, task.kind)}
    found["accuracy_over_seeds"] = metrics.over_seeds([one / n for one in correct], kind=task.kind, share=True)
    if task.kind == "phantom":
        cued = [hits(record, material.validation, "validation") for record in records]
        found["accuracy_with_cue"] = mean_share(cued, len(material.validation), task.kind)
    if fraction == SHIPPED_FRACTION:
        found["shipped_accuracy"] = shipped_metric(correct[0], n, task.kind)
    return {metric_name(task.id, fraction, measure, arm): metric for measure, metric in found.items()}


def table(study: Study, named: Mapping[str, Metric]) -> list[dict]:
    """One row for each task, share and arm: what the Evidence drawer draws."""
    rows = []
    for task in study.plan.tasks:
        for fraction in task.fractions:
            for arm in task.arms:
                records = [study.record(RunId(task.id, arm, fraction, seed)) for seed in study.plan.seeds]
                metric = named[metric_name(task.id, fraction, "accuracy", arm)]
                over = named[metric_name(task.id, fraction, "accuracy_over_seeds", arm)]
                cue = named.get(metric_name(task.id, fraction, "accuracy_with_cue", arm))
                rows.append(
                    {
                        "task": task.id,
                        "kind": task.kind,
                        "fraction": fraction,
                        "n_train": records[0]["n_train"],
                        "n_test": metric.n,
                        "arm": arm,
                        "label": ARMS[arm].label,
                        "mean": metric.value,
                        "low": metric.low,
                        "high": metric.high,
                        "seed_low": over.low,
                        "seed_high": over.high,
                        "seeds": [hits(record, study.materials[task.id].test) / metric.n for record in records],
                        "with_cue": cue.value if cue else None,
                        "steps": records[0]["steps"],
                    }
                )
    return rows


def loses(rows: Sequence[Mapping]) -> tuple[str, ...]:
    """One sentence for each study and share in which a rival's mean is above the painted arm's."""
    said = []
    for own in (row for row in rows if row["arm"] == OWN):
        rivals = [row for row in rows if _same_cell(row, own) and row["arm"] != OWN and row["arm"] not in UPPER_BOUNDS]
        better = [row for row in rivals if row["mean"] > own["mean"]]
        if better:
            listed = "; ".join(
                f"{row['label']} {_shown(row)}, intervals {'apart' if row['low'] > own['high'] else 'overlap'}" for row in better
            )
            said.append(f"{_where(own)}: painted segments reach {_shown(own)}; more: {listed}.")
    return tuple(said)


def findings(rows: Sequence[Mapping]) -> list[str]:
    """What a reader wants first: does guidance beat plain CLIP, study by study."""
    said = []
    for plain in (row for row in rows if row["arm"] == "plain"):
        for other in (row for row in rows if _same_cell(row, plain) and row["arm"] != "plain"):
            apart = other["low"] > plain["high"] or other["high"] < plain["low"]
            verdict = "the intervals are apart" if apart else "the intervals overlap, so no difference is shown"
            said.append(f"{_where(plain)}: {other['label']} {_shown(other)}, plain CLIP {_shown(plain)}; {verdict}.")
    return said


def _same_cell(one: Mapping, other: Mapping) -> bool:
    return (one["task"], one["fraction"]) == (other["task"], other["fraction"])


def _where(row: Mapping) -> str:
    name = "Liver-CT-like phantoms, cue broken in the test" if row["task"] == "liver_ct" else "Brain MRI"
    return f"{name}, {percent(row['fraction'])} % of the training pictures ({row['n_train']})"


def _shown(row: Mapping) -> str:
    return f"{100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
