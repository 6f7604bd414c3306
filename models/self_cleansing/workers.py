"""The studies' runs shared among several processes, on one machine with a GPU or many cores; afterwards `models train` puts the card together.

    python -m models.self_cleansing.workers --preset embedded --workers 12 --device cuda
    python -m models train self_cleansing

Every run is its own file in the study's folder, so nobody waits for anybody; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from models.self_cleansing.plan import ABLATIONS, Plan, read_plan
from models.self_cleansing.record import METHOD
from models.self_cleansing.study import RunId, all_runs, pending, run_one, work_folder
from models.shared.device import pick_device


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the workers, or be one; the exit status is 0 when every run is there."""
    parser = argparse.ArgumentParser(prog="python -m models.self_cleansing.workers", description="Runs of the studies, several at a time.")
    parser.add_argument("--preset", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    plan = read_plan(METHOD.preset(options.preset).config, options.seed)
    if options.one is not None:
        return _be_one(plan, options.one, options.workers, str(pick_device(options.device)))
    command = [sys.executable, "-m", "models.self_cleansing.workers", "--preset", options.preset, "--device", options.device]
    command += ["--seed", str(options.seed), "--workers", str(options.workers)]
    processes = [subprocess.Popen([*command, "--one", str(number)]) for number in range(options.workers)]
    return max(process.wait() for process in processes)


def in_order(plan: Plan, runs: Sequence[RunId]) -> list[RunId]:
    """What the main questions need first: ablations last, the tasks in the plan's order; neighbours share their pictures."""
    tasks = [task.id for task in plan.tasks]
    return sorted(runs, key=lambda run: (run.arm in ABLATIONS, tasks.index(run.task), run.seed))


def _be_one(plan: Plan, number: int, workers: int, device: str) -> int:
    import torch

    torch.set_num_threads(1)
    folder = work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    runs = in_order(plan, all_runs(plan))  # the same list for every worker
    share = -(-len(runs) // workers)
    for run in runs[number * share : (number + 1) * share]:
        if run not in pending(plan, folder):
            continue
        for _ in run_one(plan, run, folder, device):
            pass
        print(f"worker {number}: {run.name} done", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
