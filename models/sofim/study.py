"""The study behind the Evidence drawer: which optimiser, tuned as fairly as the others, reaches what on which task.

Protocol (spec §5, inferred: the paper's own is not readable). For each task and optimiser all grid points of `arms.grid` are run once, with
a seed that no reported run uses, and then four more values of η around the best one, beyond the grid where the best lies at its end: so a
coarse or narrow grid hurts nobody. Chosen is the setting with the lowest *validation* loss averaged over the run, among those that did not
diverge. The average over the run, not its end, since the paper's claim is speed: it rewards arriving early and staying there. The chosen
setting is then run once for each reported seed and measured on the *test* rows. Every optimiser has the same number of settings to choose
from, the same initial weights, the same batches, the same steps. The reported runs of one seed go in lock-step, so that whatever else the
machine does while seconds are counted falls on all of them alike.

Exception: a full-batch optimiser (L-BFGS) sees all its rows, several times, at each step, and gets a tenth of the steps.
"Diverged" means: the loss stopped being finite, grew a hundredfold, or ended above where it started. A reported run that blew up counts
with the weights it started from, so that it neither vanishes from the mean nor makes it meaningless.

Every finished run is kept in a working folder, so that a stopped study goes on where it was.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from models.shared.checkpoints import parse, write_atomically
from models.shared.data import Dataset, load
from models.sofim.arms import ARMS
from models.sofim.race_lanes import Lane, Rows
from models.sofim.study_plan import FINER, FULL_BATCH_STEPS, Part, Plan, cells, finer
from models.sofim.tasks import Task, evaluate, make_model

HALF_PRECISION_ABOVE = 20_000  # weights; networks beyond are kept, and measured, in half precision to keep the checkpoint small


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
        first = len(cells(arm_id, self.plan.grid_points))
        return [self._read(self._grid_file(part, arm_id, i)) for i in range(first + FINER)]

    def final_record(self, part: Part, arm_id: str, seed: int) -> dict:
        """One finished reported run."""
        return self._read(self._final_file(part, arm_id, seed))

    def weights(self, part: Part, arm_id: str, seed: int) -> dict[str, torch.Tensor]:
        """The weights a reported run ended with."""
        path = self._final_file(part, arm_id, seed).with_suffix(".safetensors")
        return parse(path.read_bytes(), path.name)

    def chosen(self, part: Part, arm_id: str) -> dict[str, float]:
        """The setting with the lowest validation loss over its run; where all diverged, the first one."""
        return best_of(self.grid_records(part, arm_id))["hyper"]

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
        settings, records = cells(arm_id, self.plan.grid_points), []
        total = len(settings) + FINER
        for i in range(total):
            if i == len(settings):
                settings += finer(arm_id, best_of(records)["hyper"])
            path = self._grid_file(part, arm_id, i)
            if not path.exists():
                self._write(path, self._grid_run(part, arm_id, settings[i], data, validation))
            records.append(self._read(path))
            yield self._progress(part, arm_id, f"setting {i + 1} of {total}", records[-1]["validation_loss"])

    def _grid_run(self, part: Part, arm_id: str, hyper: Mapping[str, float], data: Dataset, validation: Rows) -> dict:
        started = time.perf_counter()
        lane = self._lane(part, arm_id, hyper, self.plan.grid_seed, data)
        lane.measure(validation, {})
        while not lane.done:
            step_and_measure(lane, validation, part, {})
        losses, last = [m.test_loss for m in lane.measurements], lane.measurements[-1]
        diverged = lane.ended_worse() or not all(map(math.isfinite, losses))
        return {
            "hyper": dict(hyper),
            "diverged": diverged,
            "why": lane.diverged or ("it ended above where it started" if diverged else ""),
            "validation_loss": None if diverged else math.fsum(losses) / len(losses),
            "validation_loss_at_end": None if diverged else last.test_loss,
            "validation_accuracy_at_end": None if diverged else last.test_accuracy,
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
                    step_and_measure(lane, test, part, part.task.targets)
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


def best_of(records: list[dict]) -> dict:
    """The grid run with the lowest validation loss averaged over the run, diverged ones last."""
    return min(records, key=lambda record: math.inf if record["diverged"] else record["validation_loss"])


def step_and_measure(lane: Lane, measured_on: Rows, part: Part, targets: Mapping[str, float]) -> None:
    """One step, and the measurement when it is due; the last one takes the whole test split."""
    lane.advance()
    if not lane.diverged and (lane.done or lane.step % part.eval_every(lane.arm.id) == 0):
        lane.measure(measured_on, targets, whole=lane.done)


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
