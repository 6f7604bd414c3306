"""Training and held-out evaluation of the SOFIM room: the optimiser study, from data to card (protocol in `study.py`).

`train` runs or resumes the study and ends with the card and the weights that every reported run ended with, named
"<task>.<optimiser>.<seed>.<parameter>". `evaluate` computes test loss and accuracy of those weights again, and counts the steps to the
targets again where that takes seconds. The working folder is `config["work"]`, by default in the user's cache folder.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, load
from models.shared.training import hardware, pick_device
from models.sofim import study_report as report
from models.sofim.race_lanes import Lane, Rows
from models.sofim.study import Study, step_and_measure
from models.sofim.study_plan import FINER, FULL_BATCH_STEPS, Part, Plan, read_plan, work_folder
from models.sofim.tasks import TASKS, get, make_model
from models.sofim.tasks import evaluate as measure

if TYPE_CHECKING:
    from torch import Tensor


def _work_base(config: Mapping[str, object]) -> Path:
    if "work" in config:
        return Path(str(config["work"]))
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightbox" / "sofim-study"


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs the study of a preset's configuration; yields `progress` events and at last `result` with the card and its tensors.

    A stopped study is taken up where it was. Raises `PlanRefused` or `DataNotHere` for what cannot be run.
    """
    torch.set_num_threads(1)
    asked = {name: value for name, value in config.items() if name != "work"}
    plan = read_plan(asked, seed)
    study = Study(plan, work_folder(_work_base(config), asked, seed, device), pick_device(device))
    yield from study.run()
    yield {"kind": "result", "card": _card(study, asked, seed, device), "tensors": _tensors(study)}


def _card(study: Study, config: Mapping[str, object], seed: int, device: str) -> Card:
    from models.shared.method import get as method_of

    method, plan = method_of("sofim"), study.plan
    table = [report.table_row(study, part, arm) for part in plan.parts for arm in part.arms]
    weights = sum(sum(p.numel() for p in make_model(part.task, 0).parameters()) for part in plan.parts)
    return Card(
        method=method.id,
        title=method.title,
        config=dict(config),
        datasets=tuple(_use(name) for name in dict.fromkeys(part.task.dataset for part in plan.parts)),
        recipe=_command(config, seed, device),
        seed=seed,
        seconds=_wall(study),
        hardware=hardware(),
        parameters=weights,
        trained_parameters=weights,
        metrics=report.card_metrics(study),
        loses=report.loses(table, plan.parts),
        deviations=tuple(vars(deviation).copy() for deviation in method.deviations),
        notes=_notes(plan),
        extra={"table": table, "curves": report.curves(study), "grid": _grid(study), "targets": _targets(plan)},
    )


def _notes(plan: Plan) -> str:
    """What a reader of the numbers must know."""
    said = (
        "Settings were chosen by the validation loss averaged over a run, with a seed that no reported run uses; numbers are on test rows.",
        f"Every optimiser chose among {plan.grid_points + FINER} settings: {plan.grid_points} of its grid and {FINER} finer ones of η.",
        f"A full-batch optimiser sees all its rows at each step and takes one step where the others take {FULL_BATCH_STEPS}.",
        "A run that blew up counts with its untrained network.",
        "Seconds are of one machine and words of memory are counted; only losses, accuracies and steps can be computed again.",
        "The intervals speak of the training's chance, not of other patients.",
        *(f"Left out here: {reason}" for reason in plan.left_out),
    )
    return " ".join(said)


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    from models.sofim.presets import PRESETS

    name = next((preset.name for preset in PRESETS if dict(preset.config) == dict(config)), None)
    if name is None:
        return f"models.sofim.recipe.train(<the config of this card>, seed={seed}, device={device!r})"
    return f"python -m models train sofim --preset {name} --seed {seed} --device {device}"


def _use(name: str) -> DatasetUse:
    data = load(name)
    sizes = {f"n_{split}": len(getattr(data, split)) for split in ("train", "validation", "test")}
    return DatasetUse(name=name, title=data.title, kind=data.kind, licence=data.licence, note=data.note, **sizes)


def _pairs(plan: Plan) -> Iterator[tuple[Part, str]]:
    return ((part, arm) for part in plan.parts for arm in part.arms)


def _wall(study: Study) -> float:
    """Seconds of all runs together, also of those made before the study was taken up again."""
    finals = (study.final_record(part, arm, seed) for part, arm in _pairs(study.plan) for seed in study.plan.seeds)
    searched = (record for part, arm in _pairs(study.plan) for record in study.grid_records(part, arm))
    return sum(record["wall_s"] for record in (*finals, *searched))


def _grid(study: Study) -> dict[str, dict[str, list[dict]]]:
    found: dict[str, dict[str, list[dict]]] = defaultdict(dict)
    kept = ("hyper", "validation_loss", "validation_loss_at_end", "validation_accuracy_at_end", "diverged", "why")
    for part, arm in _pairs(study.plan):
        found[part.task.id][arm] = [{name: record[name] for name in kept} for record in study.grid_records(part, arm)]
    return dict(found)


def _targets(plan: Plan) -> dict[str, dict[str, float]]:
    return {part.task.id: dict(part.task.targets) for part in plan.parts}


def _tensors(study: Study) -> dict[str, Tensor]:
    return {
        f"{part.task.id}.{arm}.{seed}.{name}": value
        for part, arm in _pairs(study.plan)
        for seed in study.plan.seeds
        for name, value in study.weights(part, arm, seed).items()
    }


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's metrics computed again; those of a task whose data is absent are left out.

    Raises `DataNotHere` where the data of every task is absent.
    """
    torch.set_num_threads(1)
    found: dict[str, Metric] = {}
    missing: DataNotHere | None = None
    for task_id, runs in _by_task(tensors).items():
        try:
            found |= _ends(task_id, runs)
        except DataNotHere as absent:
            missing = absent
    if missing is not None and not found:
        raise missing
    found |= _steps_again(card, found)
    # Steps to a target stand on the card only where every seed reached it; elsewhere there is nothing to hold them against.
    return {name: metric for name, metric in found.items() if name in card.metrics}


def _by_task(tensors: Mapping[str, Tensor]) -> dict[str, dict[tuple[str, int], dict[str, Tensor]]]:
    """ "<task>.<optimiser>.<seed>.<parameter>" → task → (optimiser, seed) → the network's state."""
    runs: dict[str, dict[tuple[str, int], dict[str, Tensor]]] = defaultdict(lambda: defaultdict(dict))
    for name, value in tensors.items():
        task_id, arm, seed, parameter = name.split(".", 3)
        runs[task_id][arm, int(seed)][parameter] = value.float()
    return runs


def _ends(task_id: str, runs: Mapping[tuple[str, int], Mapping[str, Tensor]]) -> dict[str, Metric]:
    task, values = get(task_id), defaultdict(lambda: defaultdict(list))
    data, model = load(task.dataset), make_model(task, 0)
    for (arm, _), state in runs.items():
        model.load_state_dict(state)
        loss, accuracy = measure(model, data.test)
        values[arm]["test_loss"].append(loss)
        values[arm]["test_accuracy"].append(accuracy)
    return {
        report.metric_name(task_id, name, arm): report.over_seeds(over, name)
        for arm, measured in values.items()
        for name, over in measured.items()
    }


def _steps_again(card: Card, found: Mapping[str, Metric]) -> dict[str, Metric]:
    """Runs the chosen settings of the cheap tasks again and counts their steps to the targets."""
    named: dict[str, Metric] = {}
    for row in card.extra["table"]:
        task_id, arm = row["task"], row["arm"]
        if task_id in report.RERUN_TASKS and arm in report.RERUN_ARMS and report.metric_name(task_id, "test_loss", arm) in found:
            part = Part(TASKS[task_id], (arm,), row["steps"])
            seeds = range(card.seed, card.seed + row["seeds"])
            named |= report.steps_metrics(part, arm, [_reached(part, arm, row["hyper"], seed) for seed in seeds])
    return named


def _reached(part: Part, arm: str, hyper: Mapping[str, float], seed: int) -> dict[str, int]:
    device, data = torch.device("cpu"), load(part.task.dataset)
    test = Rows.of(part.task, data.train, data.test, device)
    lane = Lane(part.task, arm, hyper, seed=seed, data=data, batch=part.task.batch, steps=part.steps, device=device)
    lane.measure(test, part.task.targets)
    while not lane.done:
        step_and_measure(lane, test, part, part.task.targets)
    return {target: hit.step for target, hit in lane.reached.items()}


def tolerance(name: str) -> float:
    """How far a number computed again may be off, in its own unit: the order of sums differs between processors.

    Steps: two measurements of the slower of the cheap tasks. Accuracy: a few rows on the edge between two classes.
    """
    if "/steps_to_" in name:
        return 20.0
    return 5e-3 if "/test_accuracy" in name else 2e-3
