"""Plain names the SOFIM tab gives to what stands in records and cards."""

from __future__ import annotations

from typing import Any

from models.sofim.arms import ARMS
from models.sofim.tasks import TASKS

TARGETS = {"train_loss": "training loss", "test_loss": "test loss", "test_accuracy": "test accuracy"}
SOFIM_ARMS = ("sofim", "sofim_b", "sofim_tensor")


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    tasks = {task.id: task.title for task in TASKS.values()}
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS["sofim"].label}
    measures = {"test_accuracy": "Test accuracy", "test_loss": "Test loss"}
    measures |= {f"steps_to_{name}": f"Steps to the target {words}" for name, words in TARGETS.items()}
    return tasks | arms | measures


def race_title(config: dict[str, Any]) -> str:
    """What a race is called in the list of jobs."""
    return f"Race: {TASKS[config['task']].title}, {len(config['arms'])} optimisers"
