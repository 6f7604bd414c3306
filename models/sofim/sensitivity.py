"""How much the result depends on η and ρ: one short training for each cell of a grid, drawn as a heat map while it fills.

Cells are visited from the middle outwards, so that the picture has its shape early and a stop leaves the most useful part. Losses and
accuracies are on *validation* rows: whoever picks a cell from the map has not looked at the test rows. The same weights and batches in
every cell; a cell that blew up, or ended above where it started, is `diverged`.

The keys of a configuration, all optional but `task`: `arm` (one that has both knobs: SOFIM or a variant), `size` (5 to 9 cells a side),
`lr` and `rho` ([lowest, highest], spaced evenly on a log scale), `beta`, `steps`, `batch`, `seed`, `device`, `threads`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models.shared import data as datasets
from models.shared.training import pick_device
from models.sofim.arms import ARMS
from models.sofim.race_config import MOST_BATCH, ConfigRefused, check_runs_here, hyper_value, number, task_of
from models.sofim.race_lanes import Lane, Rows
from models.sofim.tasks import Task

if TYPE_CHECKING:
    from models.sofim.race import Inbox

KEYS = ("task", "arm", "size", "lr", "rho", "beta", "steps", "batch", "seed", "device", "threads")
SMALLEST, LARGEST = 5, 9
COLUMNS = ("lr", "rho", "validation_loss_nats", "validation_accuracy", "diverged")


@dataclass(frozen=True)
class SweepConfig:
    """A checked configuration; `lrs` and `rhos` hold the grid's values from small to large."""

    task: Task
    arm: str
    lrs: tuple[float, ...]
    rhos: tuple[float, ...]
    beta: float
    steps: int
    batch: int
    seed: int
    device: str
    threads: int


def _axis(given: object, name: str, arm: str, size: int) -> tuple[float, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise ConfigRefused(f"The range of {name} must be two numbers, the lowest and the highest, but it is {given!r}.")
    low, high = (hyper_value(arm, name, value) for value in given)
    if low >= high:
        raise ConfigRefused(f"The range of {name} must go from low to high, but it goes from {low:g} to {high:g}.")
    return tuple(float(f"{low * (high / low) ** (i / (size - 1)):.3g}") for i in range(size))


def read(config: Mapping[str, object]) -> SweepConfig:
    """The checked record; `ConfigRefused` with one sentence for anything that cannot be swept."""
    unknown = [key for key in config if key not in KEYS]
    if unknown:
        raise ConfigRefused(f"A heat map has no setting called {unknown[0]!r}; the settings are {', '.join(KEYS)}.")
    task, arm = task_of(config.get("task")), config.get("arm", "sofim")
    fitting = [arm_id for arm_id, known in ARMS.items() if {"lr", "rho", "beta"} <= {hyper.name for hyper in known.hypers}]
    if arm not in fitting:
        raise ConfigRefused(f"The heat map needs an optimiser with η, ρ and β: {', '.join(fitting)}; it was asked for {arm!r}.")
    size = number(config.get("size", 7), "Cells on a side", SMALLEST, LARGEST, whole=True)
    return SweepConfig(
        task=task,
        arm=arm,
        lrs=_axis(config.get("lr", (0.003, 3.0)), "lr", arm, size),
        rhos=_axis(config.get("rho", (0.001, 10.0)), "rho", arm, size),
        beta=hyper_value(arm, "beta", config.get("beta", 0.9)),
        steps=number(config.get("steps", min(150, task.steps)), "Steps", 1, 5000, whole=True),
        batch=number(config.get("batch", task.batch), "The batch size", 1, MOST_BATCH, whole=True),
        seed=number(config.get("seed", 0), "A seed", 0, 2**31 - 1, whole=True),
        device=str(config.get("device", "auto")),
        threads=number(config.get("threads", 1), "Threads", 1, 64, whole=True),
    )


def order(size: int) -> list[tuple[int, int]]:
    """All (i, j) of a size × size grid, the middle first; i counts ρ, j counts η."""
    middle = (size - 1) / 2
    cells = [(i, j) for i in range(size) for j in range(size)]
    return sorted(cells, key=lambda cell: (math.dist(cell, (middle, middle)), cell))


def sweep(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Fills the map and yields its events: `meta`, one `cell` for each training, `result` with the file written into `inbox.out`.

    A cell carries i (ρ) and j (η), validation loss in nats and accuracy as a share, both null where it diverged. A stop is seen at every
    training step and leaves the cells done so far. Raises `ConfigRefused` or `DataNotHere` before the first event.
    """
    c = read(config)
    check_runs_here(c.task)
    torch.set_num_threads(c.threads)
    device, data = pick_device(c.device), datasets.load(c.task.dataset)
    validation = Rows.of(c.task, data.train, data.validation, device)
    meta = {"task": c.task.id, "title": c.task.title, "arm": c.arm, "lrs": list(c.lrs), "rhos": list(c.rhos), "steps": c.steps}
    yield {"kind": "meta", **meta, "cells": len(c.lrs) ** 2, "measured_rows": len(validation.test), "device": str(device)}
    done: list[dict] = []
    for i, j in order(len(c.lrs)):
        hyper = {"lr": c.lrs[j], "rho": c.rhos[i], "beta": c.beta}
        lane = Lane(c.task, c.arm, hyper, seed=c.seed, data=data, batch=c.batch, steps=c.steps, device=device)
        if not _train(lane, validation, inbox):
            break
        done.append(_cell(lane, hyper))
        yield {"kind": "cell", "i": i, "j": j, **done[-1]}
    yield {"kind": "result", "stopped": len(done) < len(c.lrs) ** 2, "files": _write(Path(inbox.out), done)}


def _train(lane: Lane, validation: Rows, inbox: Inbox) -> bool:
    """All steps of one cell, measured before and after; False when it was stopped on the way."""
    lane.measure(validation, {})
    while not lane.done:
        if inbox.stopping:
            lane.close()
            return False
        lane.advance()
    lane.measure(validation, {})
    return True


def _cell(lane: Lane, hyper: Mapping[str, float]) -> dict[str, object]:
    last = lane.measurements[-1]
    diverged = lane.ended_worse() or not math.isfinite(last.test_loss)
    loss, accuracy = (None, None) if diverged else (last.test_loss, last.test_accuracy)
    return {"lr": hyper["lr"], "rho": hyper["rho"], "loss": loss, "accuracy": accuracy, "diverged": diverged}


def _write(out: Path, done: list[dict]) -> dict[str, str]:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "cells.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((cell["lr"], cell["rho"], cell["loss"], cell["accuracy"], cell["diverged"]) for cell in done)
    return {"cells": "cells.csv"}
