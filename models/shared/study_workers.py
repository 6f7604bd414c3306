"""A study's runs shared among several processes on one machine with a GPU or many cores; afterwards `models train` puts the card together.

    python -m models.<room>.workers --preset embedded --workers 12 --device cuda
    python -m models train <room>

A room's `workers` module says how its study is opened and ends with `raise SystemExit(main(__spec__.name, METHOD, opened))`. Every run is its own file in
the study's folder, so nobody waits for anybody; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.shared.device import pick_device
from models.shared.method import Method


@dataclass(frozen=True)
class Study:
    """What workers need to know of a study."""

    runs: Sequence[Any]
    """All of them, in an order that is the same for every worker."""
    finished: Callable[[Any], bool]
    work: Callable[[Any], Iterable[Any]]
    """Does one run; exhausted when its file is written."""


def main(
    module: str, method: Method, opened: Callable[[Mapping[str, object], int, str], Study], arguments: Sequence[str] | None = None
) -> int:
    """Start the workers, or be one; the exit status is 0 when every run is there. opened(configuration, seed, device)."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Runs of the study, several at a time.")
    parser.add_argument("--preset", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        study = opened(method.preset(options.preset).config, options.seed, str(pick_device(options.device)))
        return _be_one(study, options.one, options.workers)
    command = [sys.executable, "-m", module, "--preset", options.preset, "--device", options.device]
    command += ["--seed", str(options.seed), "--workers", str(options.workers)]
    processes = [subprocess.Popen([*command, "--one", str(number)]) for number in range(options.workers)]
    return max(process.wait() for process in processes)


def _be_one(study: Study, number: int, workers: int) -> int:
    import torch

    torch.set_num_threads(1)
    # one fixed list for all, so that a worker that starts late takes nobody else's run
    for run in study.runs[number::workers]:
        if study.finished(run):
            continue
        for _ in study.work(run):
            pass
        print(f"worker {number}: {run} done", flush=True)
    return 0
