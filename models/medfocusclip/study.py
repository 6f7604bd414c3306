"""Running the studies: every arm, share and seed of a task; each finished run is kept in a working folder, so that a stopped study goes on where it was.

Protocol. The frozen part of the network sees every picture once for each arm and version; then each run trains the open part on its share of the training pictures
(nested within a seed, drawn within classes) and answers the test pictures once, with the weights rounded as they ship (see `packing`). Nothing is chosen on the
test pictures; settings were chosen on validation pictures for all arms together (see the card's notes).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.medfocusclip import study_data
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.packing import pack, unpack
from models.medfocusclip.study_data import Cases, Material
from models.medfocusclip.study_plan import ARMS, Arm, Plan, Task
from models.medfocusclip.study_train import Encoded, answers, encode, fit
from models.shared.backbones.clip import Clip
from models.shared.checkpoints import parse, write_atomically


@dataclass(frozen=True)
class RunId:
    """Which run."""

    task: str
    arm: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """Its file's name, without an ending."""
        return f"{self.task}.{self.arm}.{percent(self.fraction)}.seed{self.seed}"


def percent(fraction: float) -> str:
    """0.05 as "5"."""
    return f"{100 * fraction:g}"


def work_folder(plan: Plan, clip: Clip) -> Path:
    """Where runs of this plan with this CLIP are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = json.dumps([plan.as_config(), clip.sha256, clip.name], sort_keys=True)
    return base / "lightbox" / "medfocusclip-study" / hashlib.sha256(named.encode()).hexdigest()[:16]


class Study:
    """Runs what the plan asks for and is not in the folder yet."""

    def __init__(self, plan: Plan, clip: Clip, folder: Path) -> None:
        self.plan, self.clip, self.folder = plan, clip, folder
        self.materials: dict[str, Material] = {}
        self.done = 0
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> Iterator[dict]:
        """Task by task, arm by arm; yields progress events."""
        for task in self.plan.tasks:
            yield from self._material(task)
            for arm in task.arms:
                yield from self._arm(task, ARMS[arm])

    def record(self, run: RunId) -> dict:
        """What a finished run found: answers on the test (and validation) pictures, pictures trained on, steps, seconds."""
        return json.loads(self._file(run).read_text(encoding="utf-8"))

    def weights(self, run: RunId) -> dict[str, Tensor]:
        """The trained part that a finished run ended with, packed."""
        path = self._file(run).with_suffix(".safetensors")
        return parse(path.read_bytes(), path.name)

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

    def _material(self, task: Task) -> Iterator[dict]:
        yield self._event(f"{task.title}: preparing the pictures")
        self.materials[task.id] = study_data.material(task)

    def _arm(self, task: Task, arm: Arm) -> Iterator[dict]:
        material = self.materials[task.id]
        runs = [RunId(task.id, arm.id, fraction, seed) for fraction in task.fractions for seed in self.plan.seeds]
        missing = [run for run in runs if not self._file(run).exists()]
        self.done += len(runs) - len(missing)
        if not missing:
            return
        yield from self._segments(task, arm, material, missing)
        net = self._net(task, material)
        rows = _needed(material.train, missing)
        yield self._event(f"{task.title} · {arm.label}: reading {len(rows)} training pictures")
        wanted = study_data.versions(task.training.variants, mirror=task.training.mirror)
        train = encode(net, material.train, rows, arm, wanted=wanted, dtype=torch.bfloat16)
        held = {"test": encode(net, material.test, np.arange(len(material.test)), arm)}
        if task.kind == "phantom":
            held["validation"] = encode(net, material.validation, np.arange(len(material.validation)), arm)
        for run in missing:
            yield from self._run(task, arm, run, train, rows, held)

    def _net(self, task: Task, material: Material) -> FocusClassifier:
        return FocusClassifier(self.clip, material.classes, blocks=task.training.blocks)

    def _segments(self, task: Task, arm: Arm, material: Material, missing: list[RunId]) -> Iterator[dict]:
        """Make automatic segments that are not in the cache yet, where an arm needs them."""
        if task.kind == "phantom" or arm.mode == "plain":
            return
        for cases, rows in ((material.test, np.arange(len(material.test))), (material.train, _needed(material.train, missing))):
            for done in study_data.missing_segments(cases, rows):
                yield self._event(f"{task.title}: segments of picture {done} of {len(rows)}")

    def _run(self, task: Task, arm: Arm, run: RunId, train: Encoded, rows: np.ndarray, held: Mapping[str, Encoded]) -> Iterator[dict]:
        material, started = self.materials[task.id], time.perf_counter()
        picked = study_data.subset(material.train.labels, run.fraction, run.seed)
        places = torch.from_numpy(np.searchsorted(rows, picked))  # `rows` is sorted and holds them all
        net = self._net(task, material)
        label = f"{task.title} · {arm.label} · {percent(run.fraction)} % · seed {run.seed}"
        losses = []
        for step, steps, loss in fit(net, arm, train, places, task.training, seed=run.seed):
            losses.append(loss)
            if step % 25 == 0 or step == steps:
                yield self._event(label, float(np.mean(losses[-25:])), step / steps)
        start = dict(self.clip.model.visual.named_parameters())
        kept = pack(net.trained_state(), start)
        net.load_trained(unpack(kept, start))
        found = {part: answers(net, arm, data).argmax(-1).tolist() for part, data in held.items()}
        if self.plan.ships(run):
            from safetensors.torch import save

            write_atomically(self._file(run).with_suffix(".safetensors"), save(kept))
        record = {
            "answers": found,
            "n_train": len(picked),
            "steps": len(losses),
            "last_loss": float(np.mean(losses[-25:])),
            "seconds": time.perf_counter() - started,
        }
        write_atomically(self._file(run), json.dumps(record).encode())
        self.done += 1


def _needed(cases: Cases, runs: list[RunId]) -> np.ndarray:
    """Sorted rows that any of these runs trains on."""
    return np.unique(np.concatenate([study_data.subset(cases.labels, run.fraction, run.seed) for run in runs]))


def hits(record: dict, cases: Cases, part: str = "test") -> int:
    """Right answers of a run."""
    return int((np.asarray(record["answers"][part]) == cases.labels).sum())
