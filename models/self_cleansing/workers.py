"""The studies' runs shared among processes: `python -m models.self_cleansing.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.self_cleansing.plan import read_plan
from models.self_cleansing.record import METHOD
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The studies of a preset. PlanRefused for what cannot be run."""
    from models.self_cleansing import study

    plan = read_plan(config, seed)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted(study.all_runs(plan), key=lambda run: (run.task, run.seed))  # neighbours share their pictures
    return Study(runs, lambda run: run not in study.pending(plan, folder), lambda run: study.run_one(plan, run, folder, device))


if __name__ == "__main__":
    raise SystemExit(main("models.self_cleansing.workers", METHOD, opened))
