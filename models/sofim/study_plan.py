"""What the study is asked to run: tasks, optimisers, settings, seeds, and the folder that keeps finished runs (protocol in `study.py`)."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from models.sofim.arms import ARMS, grid
from models.sofim.tasks import Task, availability, get

GRID_SEED_OFFSET = 1000
FINER = 4  # settings of the second search, around the best of the first
FULL_BATCH_STEPS = 10  # a full-batch arm takes one step where the others take so many
_CODE = ("optimizer", "sweeps", "arms", "baselines", "tasks", "race_lanes", "study", "study_plan")


class PlanRefused(ValueError):
    """Raised for a study that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Part:
    """One task of the study with its optimisers and steps."""

    task: Task
    arms: tuple[str, ...]
    steps: int

    def steps_of(self, arm_id: str) -> int:
        """Steps that this optimiser takes here."""
        return max(10, self.steps // FULL_BATCH_STEPS) if ARMS[arm_id].full_batch else self.steps

    def eval_every(self, arm_id: str) -> int:
        """Steps between measurements; a full-batch arm is measured as often in a run as the others."""
        return max(1, self.task.eval_every // FULL_BATCH_STEPS) if ARMS[arm_id].full_batch else self.task.eval_every


@dataclass(frozen=True)
class Plan:
    """What is run: parts, reported seeds, grid points of each optimiser; `left_out` says which tasks could not be run here and why."""

    parts: tuple[Part, ...]
    seeds: tuple[int, ...]
    grid_seed: int
    grid_points: int
    left_out: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """Trainings in all."""
        return sum(len(part.arms) for part in self.parts) * (self.grid_points + FINER + len(self.seeds))


def read_plan(config: Mapping[str, object], seed: int) -> Plan:
    """The plan of a preset's configuration: `tasks` (id → {"arms", "steps"}), `runs` (reported seeds), `grid_points` (1 to 12)."""
    parts, left_out = [], []
    for task_id, asked in dict(config["tasks"]).items():
        task = get(task_id)
        arms = [arm for arm in asked["arms"] if arm not in task.without]
        unknown = [arm for arm in arms if arm not in ARMS]
        if unknown:
            raise PlanRefused(f"There is no optimiser called {unknown[0]!r}; choose among {', '.join(ARMS)}.")
        status = availability(task)
        if status.here:
            parts.append(Part(task, tuple(arms), int(asked.get("steps", task.steps))))
        else:
            left_out.append(f"{task.title}: {status.reason}")
    if not parts:
        raise PlanRefused("None of the study's tasks can run on this machine: " + " ".join(left_out))
    runs, points = int(config.get("runs", 5)), int(config.get("grid_points", 12))
    if runs < 2 or not 1 <= points <= 12:
        raise PlanRefused(f"A study needs at least 2 runs and 1 to 12 grid points, but was asked for {runs} and {points}.")
    seeds = tuple(range(seed, seed + runs))
    return Plan(tuple(parts), seeds, seed + GRID_SEED_OFFSET, points, tuple(left_out))


def cells(arm_id: str, points: int) -> list[dict[str, float]]:
    """The arm's grid, or that many points of it evenly spaced in its order."""
    whole = grid(ARMS[arm_id])
    if points >= len(whole):
        return whole
    return [whole[round((i + 0.5) * len(whole) / points - 0.5)] for i in range(points)]


def finer(arm_id: str, best: Mapping[str, float]) -> list[dict[str, float]]:
    """Four more settings that differ from the best one in η alone, in fractions of the grid's ratio r.

    Inside the grid r^±¼ and r^±½; at its end r^½ inwards and up to r^1½ outwards.
    """
    rates = next(hyper.grid for hyper in ARMS[arm_id].hypers if hyper.name == "lr")
    ratio, outward = rates[1] / rates[0], {min(rates): -1, max(rates): 1}.get(best["lr"], 0)
    powers = (-0.5, 0.5, 1.0, 1.5) if outward else (-0.5, -0.25, 0.25, 0.5)
    return [{**best, "lr": float(f"{best['lr'] * ratio ** (power * (outward or 1)):.3g}")} for power in powers]


def work_folder(base: Path, config: Mapping[str, object], seed: int, device: str) -> Path:
    """A folder of its own for this configuration on this code: runs made by other code or settings are never taken up."""
    code = [_meaning(Path(__file__).with_name(f"{name}.py")) for name in _CODE]
    asked = json.dumps([dict(config), seed, device, torch.__version__, code], sort_keys=True)
    return base / hashlib.sha256(asked.encode()).hexdigest()[:16]


def _meaning(path: Path) -> str:
    """A module's code without comments, layout and docstrings, so that better words do not throw finished runs away."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
    return ast.dump(tree)
