"""The study's runs shared among processes: `python -m models.neural_tuning.workers --workers 2 --device cpu`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.neural_tuning.plan import read_plan
from models.neural_tuning.record import METHOD
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The study of a preset. PlanRefused for what cannot be run."""
    from models.neural_tuning import study

    plan = read_plan(config, seed)
    return Study(plan.runs, lambda run: run not in study.pending(plan), lambda run: study.run_one(plan, run, device))


if __name__ == "__main__":
    raise SystemExit(main("models.neural_tuning.workers", METHOD, opened))
