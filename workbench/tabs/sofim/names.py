"""Plain names the SOFIM tab gives to what stands in records and cards."""

from __future__ import annotations

from typing import Any

from models.sofim.arms import ARMS
from models.sofim.tasks import TASKS

SOFIM_ARMS = ("sofim", "sofim_b", "sofim_tensor")


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    tasks = {task.id: task.title for task in TASKS.values()}
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS["sofim"].label}
    return tasks | arms


def race_title(config: dict[str, Any]) -> str:
    """What a race is called in the list of jobs."""
    return f"Race: {TASKS[config['task']].title}, {len(config['arms'])} optimisers"
