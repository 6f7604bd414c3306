"""Running the studies: every task, arm and seed; what a finished run leaves behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.mit.config import Config
from models.mit.features import Seen
from models.mit.network import MiT
from models.mit.plan import Plan, RunId, Task, settings
from models.mit.study_data import Cases, test_cases, towers, train_cases
from models.mit.training import answers, build, fit
from models.shared.backbones.language.decoder import Decoder
from models.shared.device import hardware
from models.shared.packing import lay_in, pack
from models.shared.study_runs import StudyRuns, short

THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test pictures."""

    said: Mapping[str, np.ndarray]
    """Notes: probabilities (N, M, 3) on "test", "unseen" and "swapped". Outlines: overlap and union (N, M, 2), in pixels, on the same."""
    seconds: float
    hardware: str


@lru_cache(maxsize=1)
def _checksums() -> list[str]:
    clip, decoder = towers()
    return [clip.sha256, decoder.sha256]


def runs_of(task: Task) -> StudyRuns:
    """The working folder of the task's settings and frozen networks."""
    return StudyRuns("mit-study", {**settings(task), "towers": _checksums()})


def name(task: Task, run: RunId) -> str:
    """A run's name, with letters for all that its network is."""
    return f"{run.arm}-{short(task.config(run.arm).as_json())}.seed{run.seed}"


def pending(plan: Plan) -> list[RunId]:
    """Runs that are not finished."""
    return [run for run in plan.runs if not runs_of(plan.task(run.task)).has(name(plan.task(run.task), run))]


def run_one(plan: Plan, run: RunId, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    task, started = plan.task(run.task), time.perf_counter()
    train = train_cases(task, run.seed)
    net = build(task, task.config(run.arm), towers(device)[1], train.seen, run.seed)
    yield from fit(net, train, task, seed=run.seed)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    lay_in(net, packed)  # measured as it ships
    values = {key: value.tolist() for key, value in measured(net, task).items()}
    keep = packed if run.seed == plan.seeds[0] else None
    runs_of(task).keep(name(task, run), {"said": values, "seconds": seconds, "hardware": hardware(device)}, keep)


def measured(net: MiT, task: Task) -> dict[str, np.ndarray]:
    """What a run's `said` holds."""
    test, unseen = test_cases(task)
    found = {}
    for key, data, swapped in (("test", test, False), ("unseen", unseen, False), ("swapped", test, True)):
        said = answers(net, data, swapped=swapped)
        found[key] = np.round(said.numpy(), 5) if task.id == "notes" else overlaps(said > THRESHOLD, data)
    return found


def overlaps(outlines: Tensor, data: Cases) -> np.ndarray:
    """int (N, M, 2): pixels in both and in either, of bool (N, M, side, side) and the truth."""
    both, either = (outlines & data.target).sum((-2, -1)), (outlines | data.target).sum((-2, -1))
    return torch.stack([both, either], dim=-1).numpy()


def found(plan: Plan, run: RunId) -> Found:
    """What a finished run found."""
    task = plan.task(run.task)
    kept: dict[str, Any] = runs_of(task).values(name(task, run))
    return Found({key: np.array(value) for key, value in kept["said"].items()}, kept["seconds"], kept["hardware"])


def tensors(plan: Plan, task: Task, arm: str) -> dict[str, Tensor]:
    """The packed weights of an arm's first seed."""
    return runs_of(task).tensors(name(task, RunId(task.id, arm, plan.seeds[0])))


def network_of(task: Task, config: Config, decoder: Decoder, seen: Seen, packed: Mapping[str, Tensor]) -> MiT:
    """A trained network from its settings and packed weights; answering. ValueError when they do not fit."""
    net = build(task, config, decoder, seen, 0)
    lay_in(net, packed)
    return net.to(decoder.device).eval()
