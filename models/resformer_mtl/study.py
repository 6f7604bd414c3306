"""Running the studies: every arm and seed of a task; each finished run is kept in a working folder, so that a stopped study goes on where it was.

Protocol. A run trains for a fixed number of steps and answers the test pictures once, with its weights rounded as they ship (see `packing`).
Nothing is chosen on test pictures; settings were chosen on validation pictures for all arms together (see the card's notes).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from models.resformer_mtl import study_data
from models.resformer_mtl.plan import ARMS, Arm, Plan, Task
from models.resformer_mtl.study_data import Cases, Material
from models.resformer_mtl.training import Answers, answers, build, fit
from models.shared.checkpoints import parse, write_atomically
from models.shared.packing import lay_in, pack
from models.shared.segmentation_metrics import case_scores, dice
from models.shared.training import hardware


@dataclass(frozen=True)
class RunId:
    """Which run."""

    task: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Its file's name, without an ending."""
        return f"{self.task}.{self.arm}.seed{self.seed}"


@dataclass(frozen=True, eq=False)
class Found:
    """What one run found on the test pictures, N of them, K structures, L classes; NaN where a number is not defined."""

    dice: np.ndarray
    """(N, K): NaN where the structure is not truly there or nobody drew a mask."""
    hd95: np.ndarray
    """(N, K) in mm or pixels: NaN also where nothing was outlined."""
    assd: np.ndarray
    """(N, K)."""
    found: np.ndarray
    """(N, K) of 0 and 1: whether anything was outlined; NaN where nobody drew a mask."""
    scores: np.ndarray
    """(N, L) in 0…1."""
    seconds: float
    steps: int
    hardware: str = ""
    """What it trained on."""

    def as_json(self) -> dict:
        """Plain values, None for NaN."""
        return {name: _plain(value) if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @staticmethod
    def of_json(values: dict) -> Found:
        """The inverse of `as_json`."""
        return Found(**{name: np.array(v, dtype=np.float64) if isinstance(v, list) else v for name, v in values.items()})


def _plain(value: np.ndarray) -> list:
    return [[None if np.isnan(x) else round(float(x), 6) for x in row] for row in value]


def work_folder(plan: Plan) -> Path:
    """Where runs of this plan are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = json.dumps(plan.as_config(), sort_keys=True)
    return base / "lightbox" / "resformer-mtl-study" / hashlib.sha256(named.encode()).hexdigest()[:16]


def measure(said: Answers, cases: Cases, task: Task, *, seconds: float = 0.0, steps: int = 0, distances: bool = True) -> Found:
    """A network's answers against the truth, picture by picture. Without `distances`, which take most of the time, hd95 and assd are NaN."""
    spacing = study_data.spacing_of(task) or 1.0
    shape = (len(cases), len(task.structures))
    table = {name: np.full(shape, np.nan) for name in ("dice", "hd95", "assd", "found")}
    drawn = cases.has_mask
    for place in range(shape[1]):
        outlined, truth = said.masks[drawn] == place + 1, cases.masks[drawn] == place + 1
        if not distances:
            there = truth.flatten(1).any(dim=1).numpy()
            table["dice"][drawn.numpy(), place] = np.where(there, dice(outlined, truth).numpy(), np.nan)
            table["found"][drawn.numpy(), place] = outlined.flatten(1).any(dim=1).numpy()
            continue
        got = case_scores(outlined, truth, spacing)
        present = got.present.numpy()
        for name, values in (("dice", got.dice), ("hd95", got.hd95_mm), ("assd", got.assd_mm)):
            table[name][drawn.numpy(), place] = np.where(present, values.numpy(), np.nan)
        table["found"][drawn.numpy(), place] = got.found.numpy()
    return Found(**table, scores=said.scores.numpy().astype(np.float64), seconds=seconds, steps=steps)


class Study:
    """Runs what the plan asks for and is not in the folder yet."""

    def __init__(self, plan: Plan, folder: Path, device: str = "cpu") -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self.done = 0
        self._tests: dict[str, Cases] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def pending(self) -> list[RunId]:
        """Runs that are not in the folder yet."""
        return [run for run in self.runs() if not self._file(run).exists()]

    def runs(self) -> list[RunId]:
        """All runs of the plan, in the order in which they are worked through."""
        return [RunId(task.id, arm, seed) for task in self.plan.tasks for seed in self.plan.seeds for arm in task.arms]

    def work(self, run: RunId) -> Iterator[dict]:
        """One run by itself, as one of several processes does it; yields progress events."""
        task = next(task for task in self.plan.tasks if task.id == run.task)
        yield from self._run(task, ARMS[run.arm], run.seed, study_data.material(task, run.seed))

    def run(self) -> Iterator[dict]:
        """Task by task, seed by seed, arm by arm; yields progress events."""
        for task in self.plan.tasks:
            for seed in self.plan.seeds:
                missing = [arm for arm in task.arms if not self._file(RunId(task.id, arm, seed)).exists()]
                self.done += len(task.arms) - len(missing)
                if missing:
                    yield self._event(f"{task.title}: preparing the pictures")
                    material = study_data.material(task, seed)
                    for arm in missing:
                        yield from self._run(task, ARMS[arm], seed, material)

    def found(self, run: RunId) -> Found:
        """What a finished run found."""
        return Found.of_json(json.loads(self._file(run).read_text(encoding="utf-8")))

    def weights(self, run: RunId) -> dict[str, Tensor]:
        """The packed weights a finished run ended with."""
        path = self._file(run).with_suffix(".safetensors")
        return parse(path.read_bytes(), path.name)

    def tests(self, task: Task) -> Cases:
        """The task's test pictures."""
        if task.id not in self._tests:
            self._tests[task.id] = study_data.test_cases(task)
        return self._tests[task.id]

    def _file(self, run: RunId) -> Path:
        return self.folder / f"{run.name}.json"

    def _event(self, text: str, loss: float | None = None, part: float = 0.0) -> dict:
        steps = self.plan.runs
        event = {
            "kind": "progress",
            "step": self.done,
            "steps": steps,
            "fraction": min(1.0, (self.done + part) / steps),
            "text": text,
            "message": text,
        }
        return event if loss is None else event | {"loss": loss}

    def _run(self, task: Task, arm: Arm, seed: int, material: Material) -> Iterator[dict]:
        run, started = RunId(task.id, arm.id, seed), time.perf_counter()
        net, label = build(task, arm, seed), f"{task.title} · {arm.label} · seed {seed}"
        steps = fit(
            net,
            material.train,
            task.training,
            alpha=task.alpha(arm),
            seg_weight=arm.seg_weight,
            derived=material.derived,
            class_weights=material.class_weights(),
            seed=seed,
            device=self.device,
        )
        losses: list[float] = []
        for one in steps:
            losses.append(one.loss)
            if one.step % 20 == 0 or one.step == one.steps:
                yield self._event(label, float(np.mean(losses[-20:])), one.step / one.steps)
        seconds = time.perf_counter() - started
        packed = pack(net.state_dict())
        lay_in(net, packed)
        # on the processor, as the card's numbers are computed again there
        said = answers(net.to("cpu"), material.test.x)
        found = replace(measure(said, material.test, task, seconds=seconds, steps=len(losses)), hardware=hardware(self.device))
        if self.plan.ships(seed):
            from safetensors.torch import save

            write_atomically(self._file(run).with_suffix(".safetensors"), save(packed))
        write_atomically(self._file(run), json.dumps(found.as_json()).encode())
        self.done += 1
