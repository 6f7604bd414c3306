"""Training and held-out evaluation of this room: the studies, from pictures to card (protocol in `study.py`).

`train` runs or resumes the studies and ends with the card and the shipped weights: of every arm and number of labels the phantom run with the first seed
(see `weights`). `evaluate` lets those weights answer the phantom test pictures again; means over seeds are recorded only. Networks that were
trained on real pictures never ship: what they reached stands in the card's `extra["real"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from models.semsim import study_data, study_report
from models.semsim.plan import ARMS, OWN, TASKS, Plan, RunId, Task, read_plan
from models.semsim.record import METHOD
from models.semsim.study import found_of, measured_dice, progress, run_all, weights_of, work_folder
from models.semsim.study_data import labelled_rows, to_bytes
from models.semsim.study_report import Cell
from models.semsim.training import answers
from models.semsim.weights import MASKS, PICTURES, arm_facts, level_key, network_of, parameters_of, split_states, task_facts
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import record
from models.shared.training import hardware

_PIXELS_OFF = 3e-3
"""What another processor's rounding may move in a mean Dice, by pixels on the edge."""


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset's studies; yields `progress` events and at last `result` with the card and its tensors.

    A stopped run is begun again, finished ones are kept. Raises PlanRefused or DataNotHere for what cannot be run.
    """
    plan = read_plan(config, seed)
    folder = work_folder(plan)
    yield from run_all(plan, folder, device)
    yield progress(len(plan.runs), len(plan.runs), "Working out the numbers")
    yield {"kind": "result", "card": card_of(plan, folder, config, seed, device), "tensors": tensors_of(plan, folder)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_dice` of every shipped network, computed again."""
    plan, states = plan_of(card), split_states(tensors)
    found: dict[str, Metric] = {}
    for task in plan.tasks:
        if task.kind != "phantom":
            continue
        cases = study_data.test_cases(task)
        for labelled in task.labelled:
            count = task.count(labelled, task.pool)
            for arm in task.arms_at(labelled):
                net = network_of(arm_facts(task, ARMS[arm]), states[task.id, level_key(count), arm])
                overlap = measured_dice(answers(net, cases.x), cases, task)
                name = study_report.metric_name(task.id, count, "shipped_dice", arm)
                found[name] = study_report.shipped_dice(overlap, task.kind)
    return found


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    del name
    return _PIXELS_OFF


def parameters() -> tuple[int, int]:
    """All numbers of the small network, which all train."""
    count = parameters_of(TASKS["cardiac"].config(ARMS[OWN]))["all"]
    return count, count


def plan_of(card: Card) -> Plan:
    """The plan a card was made with."""
    return read_plan({key: value for key, value in card.config.items() if key in ("tasks", "seeds")}, card.seed)


# ---------------------------------------------------------------------- from the folder alone
def tensors_of(plan: Plan, folder: Path) -> dict[str, Tensor]:
    """The shipped weights and labelled pictures of a finished study."""
    tensors: dict[str, Tensor] = {}
    for task in plan.tasks:
        if task.kind != "phantom":
            continue
        counts = {labelled: task.count(labelled, task.pool) for labelled in task.labelled}
        rows = labelled_rows(task.pool, max(counts.values()), plan.seeds[0])
        train = study_data.material(task).train.rows(rows)
        tensors |= {f"{task.id}.{PICTURES}": to_bytes(train.x), f"{task.id}.{MASKS}": train.masks}
        for labelled, count in counts.items():
            for arm in task.arms_at(labelled):
                state = weights_of(RunId(task.id, arm, labelled, plan.seeds[0]), folder)
                tensors |= {f"{task.id}.{level_key(count)}.{arm}.{name}": tensor for name, tensor in state.items()}
    return tensors


def card_of(plan: Plan, folder: Path, config: Mapping[str, object], seed: int, device: str) -> Card:
    """The card of a finished study. FileNotFoundError when a run is missing."""
    cells = [
        Cell(task, arm, labelled, tuple(found_of(RunId(task.id, arm, labelled, one), folder) for one in plan.seeds))
        for task in plan.tasks
        for labelled in task.labelled
        for arm in task.arms_at(labelled)
    ]
    phantom = [cell for cell in cells if cell.kind == "phantom"]
    real = [cell for cell in cells if cell.kind == "real"]
    titles = {task.id: task.title for task in plan.tasks}
    found = study_report.gains(phantom)
    own = max(parameters_of(task.config(ARMS[OWN]))["all"] for task in plan.tasks if task.kind == "phantom")
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=tuple(_use(task) for task in plan.tasks if task.kind == "phantom"),
        recipe=_command(config, seed, device),
        seed=seed,
        seconds=sum(run.seconds for cell in cells for run in cell.runs),
        hardware=hardware(device),
        parameters=own,
        trained_parameters=own,
        metrics=study_report.card_metrics(phantom),
        loses=study_report.loses([*found, *study_report.gains(real)], titles),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=_notes(plan),
        extra={
            "table": study_report.table(phantom),
            "gains": [one | {"verdict": study_report.verdict(one)} for one in found],
            "findings": study_report.findings(found, titles),
            "tasks": {task.id: task_facts(task, task.pool, study_data.spacing_of(task)) for task in plan.tasks if task.kind == "phantom"},
            "real": _real(plan, real, titles),
            "paper": METHOD_PAPER,
        },
    )


def _real(plan: Plan, cells: list[Cell], titles: Mapping[str, str]) -> dict:
    """What was measured on real pictures: numbers, data set, licence, and that no weights ship."""
    found: dict = {}
    for task in plan.tasks:
        mine = [cell for cell in cells if cell.task.id == task.id]
        if not mine:
            continue
        use, gained = _use(task), study_report.gains(mine)
        found[task.id] = {
            "title": record(task.source).title,
            "licence": use.licence,
            "note": use.note,
            "n_train": use.n_train,
            "n_test": use.n_test,
            "side": task.side,
            "seeds": len(plan.seeds),
            "ships": False,
            "metrics": {name: metric.model_dump() for name, metric in study_report.card_metrics(mine).items()},
            "table": study_report.table(mine),
            "gains": [one | {"verdict": study_report.verdict(one)} for one in gained],
            "findings": study_report.findings(gained, titles),
        }
    return found


def _use(task: Task) -> DatasetUse:
    pictures = study_data.material(task)
    return DatasetUse(
        name=task.source,
        title=record(task.source).title if task.kind == "real" else task.title,
        kind=task.kind,
        licence=pictures.licence,
        n_train=len(pictures.train),
        n_validation=pictures.n_validation,
        n_test=len(pictures.test),
        note=pictures.note,
    )


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    """The line that makes the card again."""
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    return " ".join(
        [
            "python -m models train semsim",
            *([f"--preset {preset}"] if preset else []),
            *([f"--seed {seed}"] if seed else []),
            *([f"--device {device}"] if device != "cpu" else []),
        ]
    )


def _notes(plan: Plan) -> str:
    """What a reader of the numbers must know."""
    return " ".join(
        [
            "Dice is averaged over structures, and for each over the pictures in which it truly is; distances also need something outlined, so read them together with the share of structures missed.",
            f"Every number is the mean of {len(plan.seeds)} trainings that differ in which pictures are labelled; intervals redraw the test pictures, and "
            "the intervals over trainings speak of other labelled pictures. All arms of a seed see the same labelled pictures and the same batches for the same number of steps; "
            "turns, colour and CutMix are the same for every arm that uses unlabelled pictures.",
            "The weights that ship are those of the first seed, rounded to one byte a number; the numbers were measured after the rounding.",
            "Heart slices are made up and harder than they look: their numbers say nothing of real hearts.",
        ]
    )


METHOD_PAPER = {
    "rows": [
        {"data": "ACDC, 1 %", "measure": "DSC", "supervised": 0.390, "fixmatch": 0.722, "semsim_minus": 0.861, "semsim": 0.872},
        {"data": "ACDC, 5 %", "measure": "DSC", "supervised": 0.560, "fixmatch": 0.824, "semsim_minus": 0.882, "semsim": 0.888},
        {"data": "ACDC, 10 %", "measure": "DSC", "supervised": 0.797, "fixmatch": 0.879, "semsim_minus": 0.893, "semsim": 0.896},
        {"data": "ISIC, 3 %", "measure": "DSC", "supervised": 0.663, "fixmatch": 0.756, "semsim": 0.774},
        {"data": "ISIC, 10 %", "measure": "DSC", "supervised": 0.691, "fixmatch": 0.783, "semsim": 0.802},
        {"data": "PROMISE12, 3 %", "measure": "DSC", "supervised": 0.552, "fixmatch": 0.463, "semsim": 0.758},
        {"data": "PROMISE12, 7 %", "measure": "DSC", "supervised": 0.587, "fixmatch": 0.716, "semsim": 0.784},
    ],
    "source": "arXiv 2410.13486v1, among tables I to VI; other pictures, other sizes: not to be compared with the numbers above. UniMatch's own page reports "
    "0.854, 0.889 and 0.899 on ACDC with 1, 3 and 7 cases, which for 3 and 7 is as good as SemSim.",
}
