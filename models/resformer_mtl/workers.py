"""The studies' runs shared among several processes, on one machine with a GPU or many cores; afterwards `models train` puts the card together.

    python -m models.resformer_mtl.workers --preset embedded --workers 12 --device cuda
    python -m models train resformer_mtl

Every run is its own file in the study's folder, so nobody waits for anybody; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from models.resformer_mtl.plan import Plan, read_plan
from models.resformer_mtl.record import METHOD
from models.resformer_mtl.study import Study, work_folder
from models.shared.device import pick_device


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the workers, or be one; the exit status is 0 when every run is there."""
    parser = argparse.ArgumentParser(prog="python -m models.resformer_mtl.workers", description="Runs of the studies, several at a time.")
    parser.add_argument("--preset", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    plan = read_plan(METHOD.preset(options.preset).config)
    if options.one is not None:
        return _be_one(plan, options.one, options.workers, str(pick_device(options.device)))
    command = [sys.executable, "-m", "models.resformer_mtl.workers", "--preset", options.preset, "--device", options.device]
    processes = [subprocess.Popen([*command, "--workers", str(options.workers), "--one", str(k)]) for k in range(options.workers)]
    return max(process.wait() for process in processes)


def _be_one(plan: Plan, number: int, workers: int, device: str) -> int:
    import torch

    torch.set_num_threads(1)
    study = Study(plan, work_folder(plan), device)
    todo = set(study.pending())
    # one fixed list for all, so that a worker that starts late takes nobody else's run
    for run in [run for run in study.runs()[number::workers] if run in todo]:
        for _ in study.work(run):
            pass
        print(f"worker {number}: {run.name} done", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
