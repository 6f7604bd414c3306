"""The studies' runs shared among processes: `python -m models.resformer_mtl.workers --workers 12 --device cuda`, see `models.shared.study_workers`."""

from __future__ import annotations

from collections.abc import Mapping

from models.resformer_mtl.plan import read_plan
from models.resformer_mtl.record import METHOD
from models.shared import study_workers


def opened(config: Mapping[str, object], seed: int, device: str) -> study_workers.Study:
    """The studies of a preset. PlanRefused for what cannot be run."""
    from models.resformer_mtl.study import Study, work_folder

    plan = read_plan(config, seed)
    study = Study(plan, work_folder(plan), device)
    return study_workers.Study(study.runs(), lambda run: run not in set(study.pending()), study.work)


if __name__ == "__main__":
    raise SystemExit(study_workers.main("models.resformer_mtl.workers", METHOD, opened))
