"""One competitor with one seed: its network, its optimiser, its training loop and everything measured on the way.

Every lane of a seed starts from the same weights and sees the same batches in the same order; full-batch arms see the same fixed rows at
every step instead (`Task.full_batch_rows` of them at most). A lane only knows how to take one step and how to be measured; when that
happens, and what is told to whom, is decided in `race.py`, `sensitivity.py` and `recipe.py`.

Units: loss in nats (mean cross-entropy), accuracy as a share, seconds spent optimising (measuring excluded), words of memory moved as
counted from the update rule (`Arm.words_per_step`; a count, not a measurement).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from models.shared.data import Dataset, Split
from models.shared.training import Batches, Fit, bf16_pays
from models.sofim.arms import ARMS
from models.sofim.tasks import Task, evaluate, loss_fn, make_model, rows

SMOOTHING = 0.9  # memory of the smoothed training loss, bias-corrected as in the optimiser itself
BLOWN_UP = 100.0  # a lane whose loss exceeds so many times its first one is taken out of the race


@dataclass(frozen=True)
class Measured:
    """One measurement of a lane on fixed rows."""

    step: int
    seconds: float
    words: float
    train_loss: float
    test_loss: float
    test_accuracy: float
    rows: int

    def reaches(self, target: str, goal: float) -> bool:
        """Losses must come down to the goal, the accuracy up to it."""
        value = getattr(self, target)
        return value >= goal if target == "test_accuracy" else value <= goal


@dataclass(frozen=True)
class Rows:
    """The fixed rows that lanes are measured on, already on the device."""

    train: Split
    test: Split
    whole_test: Split

    @classmethod
    def of(cls, task: Task, train: Split, test: Split, device: torch.device) -> Rows:
        """At most `task.measured_rows` rows of each split, the same for every lane."""
        most, test = task.measured_rows, test.to(device)
        return cls(rows(train, most).to(device), rows(test, most), test)


class Lane:
    """`advance()` takes one step; `measure()` looks at the fixed rows. `done` once all steps are taken or `diverged` holds a reason."""

    def __init__(
        self, task: Task, arm_id: str, hyper: Mapping[str, float], *, seed: int, data: Dataset, batch: int, steps: int, device: torch.device
    ) -> None:
        self.arm, self.seed, self.id = ARMS[arm_id], seed, f"{arm_id}#{seed}"
        self.model = make_model(task, seed).to(device)
        self.optimizer = self.arm.build(self.model.parameters(), hyper)
        self.weights = sum(p.numel() for p in self.model.parameters())
        train = rows(data.train, task.full_batch_rows) if self.arm.full_batch else data.train
        self.fit = Fit(
            self.model,
            self.optimizer,
            loss_fn,
            train,
            Batches(len(train.y), min(batch, len(train.y)), seed),
            steps=steps,
            device=device,
            full_batch=self.arm.full_batch,
            autocast=task.bf16 and bf16_pays(device),
        )
        self._events = iter(self.fit)
        self.steps, self.step, self.seconds, self.words, self.grad_evals = steps, 0, 0.0, 0.0, 0.0
        self.done, self.diverged = False, ""
        self.curve = {name: array("d") for name in ("step", "seconds", "words", "loss", "smooth")}
        self.measurements: list[Measured] = []
        self.reached: dict[str, Measured] = {}
        self._average = 0.0
        self._shrinking = 0

    def advance(self) -> None:
        """One optimiser step; does nothing once the lane is done."""
        try:
            event = None if self.done else next(self._events, None)
        except torch.linalg.LinAlgError:  # Nyström-SGD and the full Fisher matrix solve equations; the other lanes go on
            self._stop("its matrix has no inverse any more")
            return
        if event is None:
            self.done = True
            return
        self.words += self.arm.words_per_step(self.weights, event.passes)
        self.step, self.seconds, self.grad_evals = event.step, event.seconds, event.grad_evals
        if event.diverged or not math.isfinite(event.loss):
            self._stop("the training loss is no longer a number")
            return
        self._record(event.loss)
        if event.loss > BLOWN_UP * self.curve["loss"][0]:
            self._stop(f"the training loss grew to more than {BLOWN_UP:g} times its start")
        self.done = self.done or self.step >= self.steps

    def _record(self, loss: float) -> None:
        self._average = SMOOTHING * self._average + (1 - SMOOTHING) * loss
        smooth = self._average / (1 - SMOOTHING ** (len(self.curve["loss"]) + 1))
        for name, value in zip(self.curve, (self.step, self.seconds, self.words, loss, smooth), strict=True):
            self.curve[name].append(value)
        if self.has_inside:
            last = self.optimizer.last
            self._shrinking += float(last.norm) ** 2 > self.optimizer.param_groups[0]["rho"]

    def _stop(self, why: str) -> None:
        self.diverged, self.done = why, True
        self._events.close()

    def measure(self, measured_on: Rows, targets: Mapping[str, float], *, whole: bool = False) -> tuple[Measured, list[str]]:
        """Measures now and returns it with the targets reached for the first time.

        With `whole` the test numbers are those of all test rows; targets are still judged on the fixed rows, one ruler for the whole race.
        """
        now = self._look(measured_on.train, measured_on.test)
        fresh = self._fresh(now, targets)
        self.reached.update(dict.fromkeys(fresh, now))
        if whole and len(measured_on.whole_test) > len(measured_on.test):
            now = self._look(measured_on.train, measured_on.whole_test)
        self.measurements.append(now)
        return now, fresh

    def _look(self, train: Split, test: Split) -> Measured:
        train_loss, _ = evaluate(self.model, train)
        test_loss, accuracy = evaluate(self.model, test)
        return Measured(self.step, self.seconds, self.words, train_loss, test_loss, accuracy, len(test))

    def _fresh(self, now: Measured, targets: Mapping[str, float]) -> list[str]:
        return [name for name, goal in targets.items() if name not in self.reached and now.reaches(name, goal)]

    @property
    def has_inside(self) -> bool:
        """Whether the optimiser tells what its last step was (SOFIM does)."""
        return getattr(self.optimizer, "last", None) is not None

    def inside(self) -> dict[str, float]:
        """What the last SOFIM step was: ‖M̂‖, ρ, η, η/(ρ+‖M̂‖²), ‖Δw‖ and the share of steps so far with ‖M̂‖ > √ρ."""
        last, group = self.optimizer.last, self.optimizer.param_groups[0]
        return {
            "norm": float(last.norm),
            "rho": float(group["rho"]),
            "lr": float(group["lr"]),
            "eta_eff": float(last.eta_eff),
            "step_length": float(last.step_length),
            "shrinking": self._shrinking / max(1, len(self.curve["loss"])),
        }

    def turn(self, name: str, value: float) -> bool:
        """Sets a hyper-parameter in flight; False where this optimiser cannot change it any more."""
        found = False
        for group in self.optimizer.param_groups:
            if name in group:
                group[name], found = value, True
            elif name in ("beta1", "beta2") and "betas" in group:
                first, second = group["betas"]
                group["betas"], found = ((value, second) if name == "beta1" else (first, value)), True
        return found

    def ended_worse(self) -> bool:
        """Blew up, or ended with a higher training loss than it started with: counted as diverged in tables."""
        losses = [m.train_loss for m in self.measurements]
        return bool(self.diverged) or (len(losses) > 1 and not losses[-1] <= losses[0])

    def close(self) -> None:
        """Ends the training loop in a consistent state."""
        self.done = True
        self._events.close()
