"""The study behind the Evidence drawer: which optimiser, tuned as fairly as the others, reaches what on which task.

Protocol (spec §5, inferred: the paper's own is not readable). For each task and optimiser all grid points of `arms.grid` are run once, with
a seed that no reported run uses; the point with the lowest loss on the *validation* rows at the last step is chosen, among those that did
not diverge. It is then run once for each reported seed and measured on the *test* rows. Every optimiser has the same number of grid points,
the same initial weights, the same batches, the same steps. The reported runs of one seed go in lock-step, so that whatever else the
machine does while seconds are counted falls on all of them alike.

Exception: a full-batch optimiser (L-BFGS) sees all its rows, several times, at each step, and gets a tenth of the steps.
"Diverged" means: the loss stopped being finite, grew a hundredfold, or ended above where it started. A reported run that blew up counts
with the weights it started from, so that it neither vanishes from the mean nor makes it meaningless.

Every finished run is kept in a working folder, so that a stopped study goes on where it was.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from models.shared.checkpoints import parse, write_atomically
from models.shared.data import Dataset, load
from models.sofim.arms import ARMS, grid
from models.sofim.race_lanes import Lane, Rows
from models.sofim.tasks import Task, availability, evaluate, get, make_model

GRID_SEED_OFFSET = 1000
FULL_BATCH_STEPS = 10  # a full-batch arm takes one step where the others take so many
HALF_PRECISION_ABOVE = 20_000  # weights; networks beyond are kept, and measured, in half precision to keep the checkpoint small
_CODE = ("optimizer", "sweeps", "arms", "baselines", "tasks", "race_lanes", "study")


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
        return sum(len(part.arms) for part in self.parts) * (self.grid_points + len(self.seeds))


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


class Study:
    """Runs what the plan asks for and is not in the folder yet; every method is a generator of progress events."""

    def __init__(self, plan: Plan, folder: Path, device: torch.device) -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self.done = 0
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> Iterator[dict]:
        """Part by part: the grid, the choice, the reported runs."""
        for part in self.plan.parts:
            data = load(part.task.dataset)
            for arm_id in part.arms:
                yield from self._search(part, arm_id, data)
            for seed in self.plan.seeds:
                yield from self._report(part, seed, data)

    def grid_records(self, part: Part, arm_id: str) -> list[dict]:
        """The finished grid runs of one optimiser, in grid order."""
        return [self._read(self._grid_file(part, arm_id, i)) for i in range(len(cells(arm_id, self.plan.grid_points)))]

    def final_record(self, part: Part, arm_id: str, seed: int) -> dict:
        """One finished reported run."""
        return self._read(self._final_file(part, arm_id, seed))

    def weights(self, part: Part, arm_id: str, seed: int) -> dict[str, torch.Tensor]:
        """The weights a reported run ended with."""
        path = self._final_file(part, arm_id, seed).with_suffix(".safetensors")
        return parse(path.read_bytes(), path.name)

    def chosen(self, part: Part, arm_id: str) -> dict[str, float]:
        """The grid point with the lowest validation loss; where all diverged, the first one."""
        records = self.grid_records(part, arm_id)
        best = min(records, key=lambda record: math.inf if record["diverged"] else record["validation_loss"])
        return best["hyper"]

    def _grid_file(self, part: Part, arm_id: str, cell: int) -> Path:
        return self.folder / f"{part.task.id}.{arm_id}.cell{cell:02d}.json"

    def _final_file(self, part: Part, arm_id: str, seed: int) -> Path:
        return self.folder / f"{part.task.id}.{arm_id}.seed{seed}.json"

    @staticmethod
    def _read(path: Path) -> dict:
        return json.loads(path.read_text(encoding="utf-8"))

    @staticmethod
    def _write(path: Path, record: dict) -> None:
        write_atomically(path, json.dumps(record, allow_nan=False).encode())

    def _progress(self, part: Part, arm_id: str, what: str, loss: float | None) -> dict:
        self.done += 1
        message = f"{part.task.title} · {ARMS[arm_id].label} · {what}"
        fraction = self.done / self.plan.runs
        return {"kind": "progress", "step": self.done, "steps": self.plan.runs, "fraction": fraction, "loss": loss, "message": message}

    def _lane(self, part: Part, arm_id: str, hyper: Mapping[str, float], seed: int, data: Dataset) -> Lane:
        steps = part.steps_of(arm_id)
        return Lane(part.task, arm_id, hyper, seed=seed, data=data, batch=part.task.batch, steps=steps, device=self.device)

    def _search(self, part: Part, arm_id: str, data: Dataset) -> Iterator[dict]:
        validation = Rows.of(part.task, data.train, data.validation, self.device)
        points = cells(arm_id, self.plan.grid_points)
        for i, hyper in enumerate(points):
            path = self._grid_file(part, arm_id, i)
            if not path.exists():
                self._write(path, self._grid_run(part, arm_id, hyper, data, validation))
            yield self._progress(part, arm_id, f"setting {i + 1} of {len(points)}", self._read(path)["validation_loss"])

    def _grid_run(self, part: Part, arm_id: str, hyper: Mapping[str, float], data: Dataset, validation: Rows) -> dict:
        started = time.perf_counter()
        lane = self._lane(part, arm_id, hyper, self.plan.grid_seed, data)
        lane.measure(validation, {})
        while not lane.done:
            lane.advance()
        last, _ = lane.measure(validation, {}, whole=True)
        diverged = lane.ended_worse() or not math.isfinite(last.test_loss)
        return {
            "hyper": dict(hyper),
            "diverged": diverged,
            "why": lane.diverged or ("it ended above where it started" if diverged else ""),
            "validation_loss": None if diverged else last.test_loss,
            "validation_accuracy": None if diverged else last.test_accuracy,
            "wall_s": time.perf_counter() - started,
        }

    def _report(self, part: Part, seed: int, data: Dataset) -> Iterator[dict]:
        """All optimisers of one seed in lock-step; a full-batch one takes its step once in ten ticks."""
        missing = [arm for arm in part.arms if not self._final_file(part, arm, seed).exists()]
        if missing:
            self._race(part, seed, data, missing)
        for arm_id in part.arms:
            yield self._progress(part, arm_id, f"reported run {seed}", self.final_record(part, arm_id, seed)["test_loss"])

    def _race(self, part: Part, seed: int, data: Dataset, arms: list[str]) -> None:
        test, started = Rows.of(part.task, data.train, data.test, self.device), time.perf_counter()
        lanes = [self._lane(part, arm, self.chosen(part, arm), seed, data) for arm in arms]
        for lane in lanes:
            lane.measure(test, part.task.targets)
        tick = 0
        while any(not lane.done for lane in lanes):
            for lane in lanes:
                if not lane.done and (not lane.arm.full_batch or tick % FULL_BATCH_STEPS == 0 or tick > part.steps):
                    step_and_measure(lane, test, part)
            tick += 1
        wall = (time.perf_counter() - started) / len(lanes)
        for lane in lanes:
            self._keep(part, lane, test, wall)

    def _keep(self, part: Part, lane: Lane, test: Rows, wall_s: float) -> None:
        from safetensors.torch import save

        path = self._final_file(part, lane.arm.id, lane.seed)
        model = counted_with(lane, part.task).to(self.device)
        kept_as = torch.float16 if lane.weights > HALF_PRECISION_ABOVE else torch.float32
        weights = {name: value.detach().to("cpu", kept_as).contiguous() for name, value in model.state_dict().items()}
        model.load_state_dict(weights)  # measured as kept, so that `evaluate` finds the same numbers
        loss, accuracy = evaluate(model, test.whole_test)
        write_atomically(path.with_suffix(".safetensors"), save(weights))
        self._write(path, final_record(lane) | {"test_loss": loss, "test_accuracy": accuracy, "wall_s": wall_s})


def step_and_measure(lane: Lane, test: Rows, part: Part) -> None:
    """One step of a reported run, and the measurement when it is due; the last one takes the whole test split."""
    lane.advance()
    if not lane.diverged and (lane.done or lane.step % part.eval_every(lane.arm.id) == 0):
        lane.measure(test, part.task.targets, whole=lane.done)


def counted_with(lane: Lane, task: Task) -> torch.nn.Module:
    """The network a run is counted with: the one it ended with, or the untrained one where it blew up."""
    whole = not lane.diverged and all(bool(p.isfinite().all()) for p in lane.model.parameters())
    return lane.model if whole else make_model(task, lane.seed)


def final_record(lane: Lane) -> dict:
    """What is kept of a reported run: end, targets, curve (measured on fixed rows)."""
    curve = [m for m in lane.measurements if math.isfinite(m.train_loss) and math.isfinite(m.test_loss)]
    names = ("step", "seconds", "words", "train_loss", "test_loss", "test_accuracy")
    return {
        "diverged": lane.ended_worse(),
        "why": lane.diverged,
        "steps": lane.step,
        "seconds": lane.seconds,
        "words": lane.words,
        "reached": {name: {"step": m.step, "seconds": m.seconds, "words": m.words} for name, m in lane.reached.items()},
        "curve": {name: [getattr(m, name) for m in curve] for name in names},
    }
