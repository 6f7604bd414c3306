"""The study's runs shared among processes: `python -m models.lsms.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.lsms.plan import read_plan
from models.lsms.record import METHOD
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The study of a preset. PlanRefused for what cannot be run."""
    from models.lsms import study

    plan = read_plan(config, seed)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    return Study(plan.runs, lambda run: study.place(folder, *run).exists(), lambda run: study.run_one(plan, run, folder, device))


if __name__ == "__main__":
    raise SystemExit(main("models.lsms.workers", METHOD, opened))
