"""The studies' runs shared among processes: `python -m models.mit.workers --workers 2 --device cpu`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.mit.plan import read_plan
from models.mit.record import METHOD
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The studies of a preset. PlanRefused for what cannot be run."""
    from models.mit import study

    plan = read_plan(config, seed)
    return Study(plan.runs, lambda run: run not in study.pending(plan), lambda run: study.run_one(plan, run, device))


if __name__ == "__main__":
    raise SystemExit(main("models.mit.workers", METHOD, opened))
