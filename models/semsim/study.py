"""Running the studies: each finished run is kept as files in a working folder, so that a stopped study goes on and several processes share one.

    for run in pending(plan, folder): run_one(plan, run, folder, device)

or, from a shell, as many processes as wanted, each with its part of the same plan (finished runs are skipped, files appear whole):

    python -m models.semsim.study --preset embedded --device cuda --part 0 --of 8

Protocol. A run trains for a fixed number of steps and answers the test pictures once, with its weights rounded as they ship (see `packing`).
Nothing is chosen on test pictures.
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
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from models.semsim import study_data
from models.semsim.plan import ARMS, Plan, RunId, Task
from models.semsim.study_data import Cases, Material, labelled_rows
from models.semsim.training import Log, Told, answers, build, fit
from models.shared.checkpoints import parse, write_atomically
from models.shared.packing import lay_in, pack
from models.shared.segmentation_metrics import dice


@dataclass(frozen=True, eq=False)
class Found:
    """What one run found on the test pictures, N of them, K structures; NaN where a number is not defined."""

    dice: np.ndarray
    """(N, K): NaN where the structure is not truly there."""
    hd95: np.ndarray
    """(N, K) in mm or pixels: NaN also where nothing was outlined."""
    assd: np.ndarray
    """(N, K)."""
    found: np.ndarray
    """(N, K) of 0 and 1: whether anything was outlined."""
    curve: dict
    """`step` and the names of `training.LOGGED`: means over stretches of the training."""
    labelled: int
    """Pictures that kept their labels."""
    pool: int
    """Training pictures, labelled or not."""
    seconds: float
    steps: int

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
    return base / "lightbox" / "semsim-study" / hashlib.sha256(named.encode()).hexdigest()[:16]


def file_of(run: RunId, folder: Path) -> Path:
    """The file that says a run is finished; its weights, if they ship, lie beside it."""
    return folder / f"{run.name}.json"


def pending(plan: Plan, folder: Path) -> list[RunId]:
    """The plan's runs that are not in the folder yet."""
    return [run for run in plan.runs if not file_of(run, folder).exists()]


def run_one(plan: Plan, run: RunId, folder: Path, device: str = "cpu") -> Found:
    """Train and measure one run and keep it in the folder. Safe beside other processes: a file appears whole or not at all."""
    for _ in follow(plan, run, folder, device):
        pass
    return found_of(run, folder)


def follow(plan: Plan, run: RunId, folder: Path, device: str = "cpu") -> Iterator[Told]:
    """`run_one`, telling how it goes."""
    task, arm, started = plan.task(run.task), ARMS[run.arm], time.perf_counter()
    pictures = _material(task)
    rows = labelled_rows(len(pictures.train), task.count(run.labelled, len(pictures.train)), run.seed)
    net = build(task.config(arm), run.seed)
    log = Log(task.training.steps, device)
    yield from fit(net, pictures.train, rows, arm, task.training, seed=run.seed, device=device, log=log)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    lay_in(net, packed)
    scores = measure(answers(net, pictures.test.x), pictures.test, task)
    found = Found(**scores, curve=log.curve(), labelled=len(rows), pool=len(pictures.train), seconds=seconds, steps=task.training.steps)
    if plan.ships(run):
        from safetensors.torch import save

        write_atomically(file_of(run, folder).with_suffix(".safetensors"), save(packed))
    write_atomically(file_of(run, folder), json.dumps(found.as_json()).encode())


_KEPT: dict[str, Material] = {}


def _material(task: Task) -> Material:
    """The task's pictures, read once for the runs of one process; those of the last task alone are kept."""
    named = repr(task)
    if named not in _KEPT:
        _KEPT.clear()
        _KEPT[named] = study_data.material(task)
    return _KEPT[named]


def found_of(run: RunId, folder: Path) -> Found:
    """What a finished run found. FileNotFoundError for one that is not there."""
    return Found.of_json(json.loads(file_of(run, folder).read_text(encoding="utf-8")))


def weights_of(run: RunId, folder: Path) -> dict[str, Tensor]:
    """The packed weights a finished run ended with."""
    path = file_of(run, folder).with_suffix(".safetensors")
    return parse(path.read_bytes(), path.name)


def measure(said: Tensor, cases: Cases, task: Task, *, spacing: float | None = None) -> dict[str, np.ndarray]:
    """A network's answers (N, H, H) against the truth, picture by picture: the four tables of `Found`."""
    spacing = spacing or study_data.spacing_of(task) or 1.0
    table = {name: np.full((len(cases), len(task.structures)), np.nan) for name in ("hd95", "assd", "found")}
    table["dice"] = measured_dice(said, cases, task)
    for place in range(len(task.structures)):
        got, want = ((one == place + 1).numpy() for one in (said, cases.masks))
        table["found"][:, place] = got.any(axis=(1, 2))
        for row in np.flatnonzero(got.any(axis=(1, 2)) & want.any(axis=(1, 2))):
            table["hd95"][row, place], table["assd"][row, place] = surface_distances(got[row], want[row], spacing)
    return table


def surface_distances(one: np.ndarray, other: np.ndarray, spacing: float = 1.0) -> tuple[float, float]:
    """(95th percentile Hausdorff distance, mean distance) of the edges of two masks bool (H, W), neither empty, both ways.

    The same numbers as `models.shared.segmentation_metrics` gives, fifty times as fast: a study on a processor measures 150,000 masks.
    """
    edges = [mask & ~binary_erosion(mask) for mask in (one, other)]
    apart = [distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    there, back = apart[1][edges[0]], apart[0][edges[1]]
    return max(float(np.percentile(there, 95)), float(np.percentile(back, 95))), float(np.concatenate([there, back]).mean())


def measured_dice(said: Tensor, cases: Cases, task: Task) -> np.ndarray:
    """`measure`'s table `dice` alone, without its distances, which take nearly all of its time."""
    table = np.full((len(cases), len(task.structures)), np.nan)
    for place in range(len(task.structures)):
        truth = cases.masks == place + 1
        present = truth.flatten(1).any(dim=1).numpy()
        table[present, place] = dice(said == place + 1, truth).numpy()[present]
    return table


# ---------------------------------------------------------------------- the whole study
def run_all(plan: Plan, folder: Path, device: str = "cpu") -> Iterator[dict]:
    """Runs what is pending, one after the other; yields progress events. What another process finishes meanwhile is not done again."""
    folder.mkdir(parents=True, exist_ok=True)
    total = len(plan.runs)
    for run in pending(plan, folder):
        if file_of(run, folder).exists():
            continue
        task = plan.task(run.task)
        for told in follow(plan, run, folder, device):
            done = total - len(pending(plan, folder))
            text = f"{task.title} · {ARMS[run.arm].label} · labels {run.labelled:g} · seed {run.seed}"
            yield progress(done, total, text, told.step / told.steps) | {"loss": told.means.get("loss")}


def progress(done: int, total: int, text: str, part: float = 0.0) -> dict:
    """One progress event of the command line and the jobs."""
    return {
        "kind": "progress",
        "step": done,
        "steps": total,
        "fraction": min(1.0, (done + part) / total),
        "text": text,
        "message": text,
    }
