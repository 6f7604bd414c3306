"""The studies' runs shared among processes: `python -m models.semsim.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.semsim.plan import read_plan
from models.semsim.record import METHOD
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The studies of a preset. PlanRefused for what cannot be run."""
    from models.semsim import study

    plan = read_plan(config, seed)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    return Study(plan.runs, lambda run: study.file_of(run, folder).exists(), lambda run: study.follow(plan, run, folder, device))


if __name__ == "__main__":
    raise SystemExit(main("models.semsim.workers", METHOD, opened))
