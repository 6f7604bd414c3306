"""The example that is there on first open: the study's median curves for the first task, taken from the card, drawn as a race."""

from __future__ import annotations

from typing import Any

from models.shared.checkpoints import CheckpointRefused, read_card
from models.shared.method import Method
from models.sofim.arms import ARMS
from models.sofim.tasks import TASKS

SHOWN = ("sofim", "sgd_momentum", "adam", "adahessian", "lbfgs", "normalised_momentum")


def best_settings(method: Method, task_id: str) -> dict[str, dict[str, float]]:
    """Arm → the best setting the study found for it on a task; empty where the study has none."""
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        return {}
    return {row["arm"]: row["hyper"] for row in card.extra.get("table", []) if row["task"] == task_id}


def race(method: Method, task_id: str = "digits_mlp") -> dict[str, Any]:
    """`{"events", "note"}` as the race board takes it; empty when there is no card to take it from."""
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        return {}
    curves = card.extra.get("curves", {}).get(task_id, {})
    rows = {row["arm"]: row for row in card.extra.get("table", []) if row["task"] == task_id}
    shown = [arm for arm in SHOWN if arm in curves]
    if not shown:
        return {}
    task, runs = TASKS[task_id], rows[shown[0]]["seeds"]
    events = [_meta(card, task_id, shown)]
    for arm in shown:
        lane, curve = f"{arm}#median", curves[arm]
        events.append(
            {
                "kind": "points",
                "lanes": {lane: {name: curve[name] for name in ("step", "seconds", "words")} | {"smooth": curve["train_loss"]}},
            }
        )
        events += [{"kind": "eval", "lanes": {lane: {name: curve[name][i] for name in curve}}} for i in range(len(curve["step"]))]
    note = f"{task.title}, median of {runs} runs, every optimiser at the best of its {rows[shown[0]]['settings']} tried settings. Press “Start the race” for a live one."
    return {"events": events, "note": note}


def _meta(card: Any, task_id: str, shown: list[str]) -> dict[str, Any]:
    arms = [{"id": arm, "label": ARMS[arm].label, "colour": ARMS[arm].colour, "note": ARMS[arm].note} for arm in shown]
    steps = max(card.extra["curves"][task_id][arm]["step"][-1] for arm in shown)
    return {
        "kind": "meta", "task": task_id, "title": TASKS[task_id].title, "arms": arms, "steps": steps, "seeds": ["median"],
        "targets": card.extra["targets"][task_id], "parameters": None, "device": card.hardware, "loss_title": "Training loss (fixed rows, median of the runs)",
    }  # fmt: skip
