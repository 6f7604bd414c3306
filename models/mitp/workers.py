"""The study's runs shared among processes: `python -m models.mitp.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.mitp.plan import ARMS
from models.mitp.record import METHOD
from models.shared.prompt_interaction.plan import read_plan
from models.shared.study_workers import Study, main


def opened(config: Mapping[str, object], seed: int, device: str) -> Study:
    """The study of a preset. PlanRefused for what cannot be run."""
    from models.shared.prompt_interaction import study

    plan = read_plan(ARMS, config, seed)
    return Study(plan.runs, lambda run: run not in study.pending(plan), lambda run: study.run_one(plan, run, device))


if __name__ == "__main__":
    raise SystemExit(main("models.mitp.workers", METHOD, opened))
