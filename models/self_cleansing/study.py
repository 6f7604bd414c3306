"""Running the studies. Each run is kept as files in a folder, so that a stopped study goes on, and several processes can share one folder.

Protocol: a run trains for its epochs and answers the test pictures with its weights rounded as they ship, three times: L (last), B (best on true
validation labels) and, where there is one, the teacher. Nothing is chosen on test pictures; their Dice for each epoch is a curve to look at.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.self_cleansing import study_data
from models.self_cleansing.cleansing import Assessment
from models.self_cleansing.diagnostics import describe
from models.self_cleansing.network import build
from models.self_cleansing.noise import plant
from models.self_cleansing.plan import ARMS, CLEAN, DEFAULT, GUARD, NOISY, NONE, OWN, SETTINGS, TASKS, Plan, Task
from models.self_cleansing.study_data import Cases, Material
from models.self_cleansing.training import Run, answers, mean_dice
from models.self_cleansing.weights import packed
from models.shared.checkpoints import parse, write_atomically
from models.shared.data import record
from models.shared.packing import lay_in
from models.shared.segmentation_metrics import case_scores
from models.shared.training import hardware

MODELS = ("last", "best", "teacher")
MEASURES = ("dice", "hd95", "missed")


@dataclass(frozen=True)
class RunId:
    """Which run."""

    task: str
    setting: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Its file's name, without an ending."""
        return f"{self.task}.{self.setting}.{self.arm}.seed{self.seed}"


@dataclass(frozen=True, eq=False)
class Found:
    """What one run found on N test pictures of K structures, and its last pass over the training labels."""

    scores: dict[str, dict[str, np.ndarray]]
    """Model ("last", "best", "teacher") → measure → (N, K); NaN where the structure is not truly there, distances also where nothing was found."""
    best_epoch: int
    epochs: list[dict]
    """Of each epoch: `epoch`, `loss`, `validation`; of the first seed `test` and what `diagnostics.describe` says."""
    final: dict | None
    """`diagnostics.describe` of the last pass; None for a run that had none."""
    quiet: float | None
    """Share of the passes after warm-up in which no noise was detected among the pictures."""
    seconds: float
    steps: int
    hardware: str

    def as_json(self) -> dict:
        """Plain values, None for NaN."""
        scores = {model: {name: _plain(values) for name, values in one.items()} for model, one in self.scores.items()}
        return vars(self) | {"scores": scores}

    @staticmethod
    def of_json(values: dict) -> Found:
        """The inverse of `as_json`."""
        scores = {m: {name: np.array(v, dtype=np.float64) for name, v in one.items()} for m, one in values["scores"].items()}
        return Found(**values | {"scores": scores})


def _plain(values: np.ndarray) -> list:
    return [[None if np.isnan(x) else round(float(x), 6) for x in row] for row in values]


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)


def work_folder(plan: Plan) -> Path:
    """Where runs of this plan are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = json.dumps(plan.as_config(), sort_keys=True)
    return base / "lightbox" / "self-cleansing-study" / hashlib.sha256(named.encode()).hexdigest()[:16]


def all_runs(plan: Plan) -> list[RunId]:
    """Every run of the plan, the first seed first."""
    return [RunId(task.id, setting, arm, seed) for seed in plan.seeds for task in plan.tasks for setting, arm in task.arms()]


def pending(plan: Plan, folder: Path) -> list[RunId]:
    """Runs that are not in the folder yet."""
    return [run for run in all_runs(plan) if not _file(folder, run).exists()]


def run_one(plan: Plan, run: RunId, folder: Path, device: str = "cpu") -> Iterator[dict]:
    """Does one run and leaves its files in the folder; yields {"epoch", "epochs", "loss"} after every epoch. It must be exhausted."""
    task, arm, started = plan.task(run.task), ARMS[run.arm], time.perf_counter()
    material, first = _material(task, run.seed), plan.first(run.seed)
    given = given_labels(task, run.setting, run.seed, material.train)
    net = build(task.classes, task.channels, task.widths, run.seed)
    going = Run(net, arm, task.training, material.train.x, given, material.validation, seed=run.seed, device=device, watch=first)
    truth, test = material.train.masks.to(device), material.test.to(device)
    epochs, last, looked, quiet = [], None, 0, 0
    for one in going.epochs():
        kept = {"epoch": one.epoch, "loss": round(one.loss, 5), "validation": _finite(one.validation)}
        if first:
            kept["test"] = _finite(mean_dice(answers(going.student, test.x), test.masks, task.classes))
            kept |= _round(describe(one.assessment, going.given, truth)) if one.assessment and _watched(task, run) else {}
        epochs.append(kept)
        if one.assessment is not None and one.epoch >= task.training.warmup:
            last, looked = one.assessment, looked + 1
            quiet += one.assessment.picture_fit is None or not one.assessment.picture_fit.noise
        yield {"epoch": one.epoch, "epochs": one.epochs, "loss": one.loss}
    kept_states = _packed(going, last)
    seconds = time.perf_counter() - started
    found = Found(
        scores={model: measure(task, state, material.test) for model, state in kept_states.items() if model in MODELS},
        best_epoch=going.best_epoch,
        epochs=epochs,
        final=_round(describe(last, going.given, truth)) if last else None,
        quiet=quiet / looked if looked else None,
        seconds=seconds,
        steps=task.training.epochs * (len(given) // min(task.training.batch, len(given))),
        hardware=hardware(device),
    )
    if first and ships(task):
        from safetensors.torch import save

        wanted = {
            f"{model}.{name}": tensor for model, state in kept_states.items() if kept_model(run, model) for name, tensor in state.items()
        }
        write_atomically(_file(folder, run).with_suffix(".safetensors"), save(wanted))
    write_atomically(_file(folder, run), json.dumps(found.as_json()).encode())


def found_of(run: RunId, folder: Path) -> Found:
    """What a finished run found."""
    return Found.of_json(json.loads(_file(folder, run).read_text(encoding="utf-8")))


def weights_of(run: RunId, folder: Path) -> dict[str, Tensor]:
    """The packed weights of a finished run of the first seed, "<model>.<parameter>"; empty where none may be given to others."""
    path = _file(folder, run).with_suffix(".safetensors")
    return parse(path.read_bytes(), path.name) if path.exists() else {}


def given_labels(task: Task, setting: str, seed: int, train: Cases) -> Tensor:
    """The training labels with the setting's noise, uint8 (N, H, H); alike for every arm."""
    planted = plant(train.masks.numpy(), SETTINGS[setting], seed=seed, structures=len(task.structures))
    return torch.from_numpy(planted.labels)


def ships(task: Task) -> bool:
    """Whether weights trained on the task's pictures may be given to others."""
    return task.kind == "phantom" or record(task.source).ships_weights


def kept_model(run: RunId, model: str) -> bool:
    """Which of a run's weights are kept: L and the teacher always, B of made-up pictures' main arms in the default setting."""
    if model != "best":
        return True
    return TASKS[run.task].kind == "phantom" and run.setting in (DEFAULT, NONE) and run.arm in (CLEAN, NOISY, OWN)


def measure(task: Task, state: dict[str, Tensor], test: Cases) -> dict[str, np.ndarray]:
    """A packed network against the truth on the processor, where card numbers are computed again: measure → (N, K)."""
    net = build(task.classes, task.channels, task.widths, 0)
    lay_in(net, state)
    return scores_of(answers(net, test.x), test, task)


def scores_of(said: Tensor, test: Cases, task: Task) -> dict[str, np.ndarray]:
    """Class numbers (N, H, H) against the truth."""
    table = {name: np.full((len(test), len(task.structures)), np.nan) for name in MEASURES}
    for place in range(len(task.structures)):
        got = case_scores(said == place + 1, test.masks == place + 1, study_data.spacing_mm(task) or 1.0)
        present = got.present.numpy()
        for name, values in (("dice", got.dice), ("hd95", got.hd95_mm), ("missed", (~got.found).double())):
            table[name][:, place] = np.where(present, values.numpy(), np.nan)
    return table


_KEPT: dict[tuple, Material] = {}


def _material(task: Task, seed: int) -> Material:
    """The last one is kept: a worker does many runs on the same pictures."""
    key = (task.id, task.side, task.pool, task.tests, seed)
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = study_data.material(task, seed)
    return _KEPT[key]


def _watched(task: Task, run: RunId) -> bool:
    """Whether each epoch's histograms are kept: of the made-up pictures' main arms everywhere, of the rest in the default setting."""
    return task.kind == "phantom" and (run.arm in (CLEAN, GUARD, NOISY, OWN) or run.setting == DEFAULT)


def _packed(going: Run, last: Assessment | None) -> dict[str, dict[str, Tensor]]:
    """Packed weights by model, and under "extra" the prototypes, if there are any."""
    found = {"last": packed(going.student.state_dict()), "best": packed(going.best)}
    if going.teacher is not None:
        found["teacher"] = packed(going.teacher.net.state_dict())
    if last is not None and going.cleanser.prototypes is not None:
        found["extra"] = {"prototypes": going.cleanser.prototypes.cpu()}
    return found


def _file(folder: Path, run: RunId) -> Path:
    return folder / f"{run.name}.json"


def _round(value):
    """Five decimals are enough for curves."""
    if isinstance(value, dict):
        return {name: _round(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_round(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else round(value, 5) if isinstance(value, float) else value
