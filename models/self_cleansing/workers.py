"""The studies' runs shared among processes: `python -m models.self_cleansing.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from models.self_cleansing.plan import ABLATIONS, Plan, read_plan
from models.self_cleansing.record import METHOD
from models.shared.study_workers import Study, main

if TYPE_CHECKING:
    from models.self_cleansing.study import RunId


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The studies of a preset. PlanRefused for what cannot be run."""
    from models.self_cleansing import study

    plan = read_plan(config, seed)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    return Study(
        in_order(plan, study.all_runs(plan)),
        lambda run: run not in study.pending(plan, folder),
        lambda run: study.run_one(plan, run, folder, device),
    )


def in_order(plan: Plan, runs: Sequence[RunId]) -> list[RunId]:
    """What the main questions need first: ablations last, the tasks in the plan's order; neighbours share their pictures."""
    tasks = [task.id for task in plan.tasks]
    return sorted(runs, key=lambda run: (run.arm in ABLATIONS, tasks.index(run.task), run.seed))


if __name__ == "__main__":
    raise SystemExit(main("models.self_cleansing.workers", METHOD, opened))
