"""Training and held-out evaluation of the ProMIM room: the base-to-new study on phantoms, from pictures to card (protocol in `study.py`).

`train` learns every prompt of a preset and ends with the card and their weights. `evaluate` measures them all again from those weights.
Everything is measured on phantoms; the card calls them so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from models.promim import report
from models.promim.network import parameters
from models.promim.study import GROUPS, Measured, Plan, TaskStudy, read_plan
from models.promim.tasks import TASKS
from models.promim.weights import Backbone, WeightSet, as_extra, as_tensors, from_tensors
from models.shared.backbones.clip import ClipNotHere, load_clip
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, phantoms
from models.shared.device import hardware

if TYPE_CHECKING:
    from torch import Tensor

    from models.shared.backbones.clip import Clip


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset's study; yields `progress` events and at last `result` with the card and its tensors.

    `seed` is added to every seed of the preset. Raises ValueError for what cannot be run, ClipNotHere without the backbone.
    """
    asked = dict(config)
    plan = _moved(read_plan(asked), seed)
    began = time.perf_counter()
    clip = load_clip(plan.backbone, device)
    yield from study(clip, plan, asked, seed=seed, began=began, device=device)


def study(clip: Clip, plan: Plan, asked: Mapping[str, object], *, seed: int, began: float, device: str) -> Iterator[dict]:
    """As `train`, with the backbone at hand."""
    tensors: dict[str, Tensor] = {}
    total, done = len(plan.runs) * len(plan.tasks), 0
    for task in (TASKS[name] for name in plan.tasks):
        one = TaskStudy(clip, task, plan)
        for run in plan.runs:
            training = one.training(run)
            last = deque(training, maxlen=1)[0]
            tensors |= as_tensors(task.id, run, training.learner)
            done += 1
            yield {"kind": "progress", "step": done, "steps": total, "text": f"{task.title}: {run.name}", "loss": last.loss}
    card = _card(clip, plan, asked, seed=seed)
    measured: list[Measured] = []
    for one in _measure(clip, plan, from_tensors(tensors, card)):
        measured.append(one)
        yield {"kind": "progress", "step": done, "steps": total, "text": f"measuring {one.task}: {one.run.name}"}
    found, gained = report.card_metrics(measured), report.gains(measured)
    extra = dict(card.extra) | {"gains": gained}
    finished = card.model_copy(
        update={
            "metrics": found,
            "loses": report.loses(found, gained),
            "extra": extra,
            "seconds": time.perf_counter() - began,
            "hardware": hardware(device),
        }
    )
    yield {"kind": "result", "card": Card.model_validate(finished.model_dump()), "tensors": tensors}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's metrics computed again. Raises DataNotHere where the CLIP that the prompts were learned for is absent."""
    plan = _moved(read_plan(card.config), card.seed)
    try:
        clip = load_clip(plan.backbone)
    except ClipNotHere as absent:
        raise DataNotHere(str(absent)) from absent
    return report.card_metrics(_measure(clip, plan, from_tensors(tensors, card)))


def _measure(clip: Clip, plan: Plan, learned: WeightSet) -> Iterator[Measured]:
    for name in plan.tasks:
        yield from TaskStudy(clip, TASKS[name], plan).measure(learned, plan.runs)


def _moved(plan: Plan, seed: int) -> Plan:
    return plan.model_copy(update={"seeds": tuple(s + seed for s in plan.seeds), "sweep_seeds": tuple(s + seed for s in plan.sweep_seeds)})


def _card(clip: Clip, plan: Plan, asked: Mapping[str, object], *, seed: int) -> Card:
    """The card without its numbers."""
    from models.shared.method import get as method_of

    method = method_of("promim")
    total, trained = parameters()
    preset = next((one.name for one in method.presets if dict(one.config) == dict(asked)), "")
    return Card(
        method=method.id,
        title=method.title,
        config=dict(asked),
        datasets=tuple(_use(plan, name) for name in plan.tasks),
        recipe=f"python -m models train promim{f' --preset {preset}' if preset else ''}{f' --seed {seed}' if seed else ''}",
        seed=seed,
        seconds=0.0,
        hardware="",
        parameters=total,
        trained_parameters=trained,
        metrics={},
        deviations=tuple(vars(deviation).copy() for deviation in method.deviations),
        notes=_notes(plan),
        extra=as_extra(Backbone(name=clip.name, sha256=clip.sha256), [TASKS[name].info for name in plan.tasks]),
    )


def _use(plan: Plan, name: str) -> DatasetUse:
    task = TASKS[name]
    return DatasetUse(
        name=task.family,
        title=phantoms.title(task.family),
        kind="phantom",
        licence="drawn by this program",
        n_train=plan.shots * task.count,
        n_validation=0,
        n_test=len(GROUPS) * task.count * plan.test_per_class,
        note=f"{plan.shots} training pictures of each of {task.count} base classes, drawn anew for every seed; tested on {plan.test_per_class} pictures "
        f"of each base class and of each of {task.count} new classes.",
    )


def _notes(plan: Plan) -> str:
    """What a reader of the numbers must know."""
    return (
        "Phantoms, not patients. New classes are combinations of words and looks that neither the prompts nor the CLIP itself met in training; "
        "each word alone was common. Every arm was trained with the same pictures, steps and learning rate "
        f"({plan.epochs} epochs, batch {plan.batch}, {plan.lr:g}). ProMIM sees one fixed mask for each test picture. "
        f"Intervals of trained arms are over {len(plan.seeds)} trainings ({len(plan.sweep_seeds)} for other settings of ProMIM), each with pictures of its own; "
        "they speak of the chance of training, not of other kinds of pictures."
    )


def tolerance(name: str) -> float:
    """How far a number computed again may be off: a picture or two on the edge between two classes, on another processor."""
    return 5e-3
