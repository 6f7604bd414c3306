"""Training and held-out evaluation of this room: the studies, from pictures to card (protocol in `study.py`).

`train` runs or resumes the studies and ends with the card and the shipped weights: of every arm the run with the first seed, its tensors named
"<task>.<arm>.<parameter>" (see `packing`). `evaluate` lets those weights answer the test pictures again; means over seeds are recorded only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.resformer_mtl import study_data, study_report
from models.resformer_mtl.network import ResFormerMTL
from models.resformer_mtl.plan import ARMS, OWN, TASKS, Plan, Task, read_plan
from models.resformer_mtl.record import METHOD
from models.resformer_mtl.study import RunId, Study, measure, work_folder
from models.resformer_mtl.study_report import Cell
from models.resformer_mtl.training import answers
from models.resformer_mtl.weights import arm_facts, network_of, parameters_of, split_states, task_facts
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, record
from models.shared.training import hardware

_PIXELS_OFF, _PICTURES_OFF = 2e-3, 2
"""What another processor's rounding may move: Dice by pixels on the edge, accuracy and calibration by pictures on the edge of an answer or bin."""


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset's studies; yields `progress` events and at last `result` with the card and its tensors.

    A stopped run is taken up where it was. Raises PlanRefused or DataNotHere for what cannot be run.
    """
    plan = read_plan(config, seed)
    study = Study(plan, work_folder(plan), device)
    yield from study.run()
    yield {
        "kind": "progress",
        "step": plan.runs,
        "steps": plan.runs,
        "fraction": 1.0,
        "text": "Working out the numbers",
        "message": "Working out the numbers",
    }
    yield {"kind": "result", "card": _card(study, config, seed, device), "tensors": _tensors(study)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again. Raises DataNotHere where no study's pictures are here."""
    plan = plan_of(card)
    found: dict[str, Metric] = {}
    absent: DataNotHere | None = None
    states = split_states(tensors)
    for task in plan.tasks:
        try:
            cases = study_data.test_cases(task)
        except DataNotHere as fault:
            absent = fault
            continue
        for arm, state in states.get(task.id, {}).items():
            said = answers(network_of(arm_facts(task, ARMS[arm]), state), cases.x)
            found |= study_report.shipped_metrics([Cell(task, arm, (measure(said, cases, task, distances=False),), cases)])
    if absent is not None and not found:
        raise absent
    return found


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    n = 155 if name.startswith("busi") else TASKS["oct"].tests
    return _PICTURES_OFF / n if "accuracy" in name or "ece" in name else _PIXELS_OFF


def parameters() -> tuple[int, int]:
    """All numbers of the small network, which all train."""
    import torch

    with torch.device("meta"):
        count = sum(p.numel() for p in ResFormerMTL(TASKS["oct"].config(ARMS[OWN])).parameters())
    return count, count


def plan_of(card: Card) -> Plan:
    """The plan a card was made with."""
    return read_plan({key: value for key, value in card.config.items() if key in ("tasks", "seeds")}, card.seed)


# ---------------------------------------------------------------------- the card
def _tensors(study: Study) -> dict[str, Tensor]:
    first = study.plan.seeds[0]
    return {
        f"{task.id}.{arm}.{name}": tensor
        for task in study.plan.tasks
        for arm in task.arms
        for name, tensor in study.weights(RunId(task.id, arm, first)).items()
    }


def _card(study: Study, config: Mapping[str, object], seed: int, device: str) -> Card:
    plan, cells = study.plan, study_report.all_cells(study)
    rows, found = study_report.table(cells), study_report.gains(cells)
    titles = {task.id: task.title for task in plan.tasks}
    counts = [(parameters_of(task.config(ARMS[arm]), ARMS[arm].network), arm) for task in plan.tasks for arm in task.arms]
    own = max(count for count, arm in counts if arm == OWN) if any(arm == OWN for _, arm in counts) else max(counts)[0]
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=tuple(_use(study, task) for task in plan.tasks),
        recipe=_command(config, seed, device),
        seed=seed,
        seconds=sum(run.seconds for cell in cells for run in cell.runs),
        hardware=", ".join(sorted({run.hardware for cell in cells for run in cell.runs} - {""})) or hardware(device),
        parameters=own,
        trained_parameters=own,
        metrics=study_report.card_metrics(cells),
        loses=study_report.loses(found, titles),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=_notes(plan),
        extra={
            "table": rows,
            "gains": [one | {"verdict": study_report.verdict(one)} for one in found],
            "findings": study_report.findings(found, titles),
            "tasks": {task.id: task_facts(task, study_data.spacing_of(task)) for task in plan.tasks},
            "paper": {"rows": [], "source": "The result tables of arXiv 2412.00351 could not be read; no number of the paper is shown."},
        },
    )


def _use(study: Study, task: Task) -> DatasetUse:
    material = study_data.material(task, study.plan.seeds[0])
    masks = [int(part.has_mask.sum()) for part in (material.train, material.validation, material.test)]
    with_masks = f" With masks: {masks[0]} for training, {masks[1]} for validation, {masks[2]} for the test." if task.kind == "real" else ""
    each = f" Every seed draws its own {task.pool} training pictures." if task.kind == "phantom" else ""
    return DatasetUse(
        name=task.source,
        title=record(task.source).title if task.kind == "real" else task.title,
        kind=task.kind,
        licence=material.licence,
        n_train=len(material.train),
        n_validation=len(material.validation),
        n_test=len(material.test),
        note=material.note + with_masks + each,
    )


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    """The line that makes the card again."""
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    return " ".join(
        [
            "python -m models train resformer_mtl",
            *([f"--preset {preset}"] if preset else []),
            *([f"--seed {seed}"] if seed else []),
            *([f"--device {device}"] if device != "cpu" else []),
        ]
    )


def _notes(plan: Plan) -> str:
    """What a reader of the numbers must know."""
    said = [
        "Dice is averaged over structures, and for each over the pictures in which it truly is; distances also need something outlined, so read them with `missed`.",
        f"Every number is the mean of {len(plan.seeds)} trainings; intervals redraw the test pictures, within their labels. All arms of a seed train on the same "
        "pictures in the same order for the same number of steps; single-task twins are the same network with the other loss switched off.",
        "Settings (size, learning rate, how many pictures and steps) were chosen on OCT-like phantoms of the validation seeds for all arms together, and taken over for "
        "the other sets with steps that fit the time. The steps were then raised once, for all arms alike, from 650 and 550 to 2,000 and 1,500, after a first whole study "
        "whose outlines of OCT-like phantoms had not settled (Dice of the three trainings of one arm lay up to 0.5 apart).",
        "The weights that ship are those of the first seed, rounded to one byte a number; the numbers were measured after the rounding.",
    ]
    if any(task.id == "busi" for task in plan.tasks):
        said.append(
            "BUSI gives no pixel spacing, so its distances are in pixels of 128×128. Only 149 of its pictures have a mask here: 32 of the test part, 20 of them with a "
            "lesion, so its Dice has a wide interval."
        )
    return " ".join(said)
