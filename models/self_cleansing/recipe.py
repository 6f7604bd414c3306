"""Training and held-out evaluation of this room: the studies, from pictures to card (protocol in `study.py`).

`train` runs or resumes the studies and ends with the card and the shipped weights: of every cell the run with the first seed, its tensors named
"<task>/<setting>/<arm>/<model>.<parameter>". `evaluate` lets those weights answer the test pictures again; means over seeds are recorded only. Sets whose
licence forbids it ship no weights; their numbers stand in the card's `extra["real"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from models.self_cleansing import study_data, study_report
from models.self_cleansing.plan import Plan, Task, read_plan
from models.self_cleansing.record import METHOD
from models.self_cleansing.study import MODELS, Found, all_runs, measure, pending, run_one, ships, weights_of, work_folder
from models.self_cleansing.study_report import Cell
from models.self_cleansing.weights import parameters_of, split_states, task_facts, tensor_name
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, record
from models.shared.training import hardware

_PIXELS_OFF = 2e-3
"""What another processor's rounding may move: Dice by pixels on the edge."""


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset's studies; yields `progress` events and at last `result` with the card and its tensors.

    A stopped study is taken up where it was. Raises PlanRefused or DataNotHere for what cannot be run.
    """
    plan = read_plan(config, seed)
    folder = work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    missing = pending(plan, folder)
    done = plan.runs - len(missing)
    for run in missing:
        for one in run_one(plan, run, folder, device):
            yield _progress(done, plan.runs, run.name, one["epoch"] / one["epochs"]) | {"loss": one["loss"]}
        done += 1
    yield _progress(plan.runs, plan.runs, "Working out the numbers")
    yield {"kind": "result", "card": card_of(plan, folder, config, seed, device), "tensors": tensors_of(plan, folder)}


def _progress(done: int, runs: int, text: str, part: float = 0.0) -> dict:
    return {"kind": "progress", "step": done, "steps": runs, "fraction": min(1.0, (done + part) / runs), "text": text, "message": text}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again. Raises DataNotHere where no study's pictures are here."""
    plan = plan_of(card)
    found: dict[str, Metric] = {}
    absent: DataNotHere | None = None
    states = split_states(tensors)
    for task in (task for task in plan.tasks if ships(task)):
        try:
            test = study_data.test_cases(task)
        except DataNotHere as fault:
            absent = fault
            continue
        for setting, arm in task.arms():
            kept = states.get((task.id, setting, arm), {})
            scores = {model: measure(task, kept[model], test) for model in MODELS if model in kept}
            cell = Cell(task, setting, arm, (Found(scores, 0, [], None, None, 0.0, 0, ""),))
            for name, metric in study_report.shipped(cell).items():
                if metric is not None:
                    found[study_report.metric_name(cell.place, name, arm)] = metric
    if absent is not None and not found:
        raise absent
    return found


def tolerance(_name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    return _PIXELS_OFF


def parameters() -> tuple[int, int]:
    """All numbers of the largest network that ships, which all train."""
    count = max(parameters_of(task) for task in read_plan(METHOD.preset("").config).tasks)
    return count, count


def plan_of(card: Card) -> Plan:
    """The plan a card was made with."""
    return read_plan({key: value for key, value in card.config.items() if key in ("tasks", "seeds")}, card.seed)


def tensors_of(plan: Plan, folder: Path) -> dict[str, Tensor]:
    """The weights that ship, from the folder alone."""
    found = {}
    for run in all_runs(plan):
        if plan.first(run.seed) and ships(plan.task(run.task)):
            found |= {tensor_name(run.task, run.setting, run.arm, name): tensor for name, tensor in weights_of(run, folder).items()}
    return found


def card_of(plan: Plan, folder: Path, config: Mapping[str, object], seed: int = 0, device: str = "cpu") -> Card:
    """The card, from the folder alone. FileNotFoundError while a run is missing."""
    cells = study_report.all_cells(plan, folder)
    shown = [cell for cell in cells if ships(cell.task)]
    made_up, real = [[cell for cell in cells if cell.task.kind == kind] for kind in ("phantom", "real")]
    gains = study_report.gains(cells)
    count = max(parameters_of(task) for task in plan.tasks)
    runs = [run for cell in cells for run in cell.runs]
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=tuple(_use(task, plan.seeds[0]) for task in plan.tasks if ships(task)),
        recipe=_command(config, seed, device),
        seed=seed,
        seconds=sum(run.seconds for run in runs),
        hardware=", ".join(sorted({run.hardware for run in runs} - {""})) or hardware(device),
        parameters=count,
        trained_parameters=count,
        metrics=study_report.card_metrics(shown),
        loses=study_report.loses(gains),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=_notes(plan),
        extra={
            "table": study_report.table(cells),
            "gains": gains,
            "findings": study_report.findings(cells),
            "recovered": study_report.recovered(cells),
            "detection": study_report.detection(cells),
            "guard": study_report.guard(cells),
            "bars": {"auroc": study_report.AUROC_BAR, "recovered": study_report.RECOVERED_BAR},
            "epochs": study_report.epochs(made_up),
            "final": {cell.name: cell.runs[0].final for cell in shown if cell.runs[0].final},
            "tasks": {task.id: task_facts(task, study_data.spacing_mm(task)) for task in plan.tasks if ships(task)},
            "real": [
                _real(task, [cell for cell in real if cell.task.id == task.id], plan.seeds[0]) for task in plan.tasks if task.kind == "real"
            ],
            "paper": {
                "rows": [
                    {"what": "improvement over the baseline, B-model", "value": "+7.31 %"},
                    {"what": "improvement over the baseline, L-model", "value": "+12.36 %"},
                ],
                "source": "The abstract in Medical Physics (doi 10.1002/mp.70007). Noise rates, baselines and tables were not read.",
            },
        },
    )


def _real(task: Task, cells: list[Cell], seed: int) -> dict:
    """A real set's section: licence, counts, and every cell's numbers."""
    numbers = {}
    for cell in cells:
        for name, metric in study_report.cell_metrics(cell).items():
            if not name.startswith("shipped"):
                numbers[study_report.metric_name(cell.place, name, cell.arm)] = metric.model_dump()
    return _use(task, seed).model_dump() | {"ships_weights": ships(task), "metrics": numbers}


def _use(task: Task, seed: int) -> DatasetUse:
    made = study_data.material(replace(task, pool=task.pool), seed)
    each = (
        f" Every seed draws its own {task.pool} training pictures." if task.kind == "phantom" else " Only pictures with a mask take part."
    )
    return DatasetUse(
        name=task.source,
        title=record(task.source).title if task.kind == "real" else task.title,
        kind=task.kind,
        licence=made.licence,
        n_train=len(made.train),
        n_validation=len(made.validation),
        n_test=len(made.test),
        note=made.note + each + " Errors were planted into training labels; validation and test labels are as they come.",
    )


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    """The line that makes the card again."""
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    words = ["python -m models train self_cleansing", f"--preset {preset}" * bool(preset), f"--seed {seed}" * bool(seed)]
    return " ".join(word for word in [*words, f"--device {device}" * (device != "cpu")] if word)


def _notes(plan: Plan) -> str:
    """What a reader of the numbers must know."""
    return " ".join(
        (
            "A re-implementation from the published abstract: equations and settings are reconstructed.",
            f"Every number is the mean of {len(plan.seeds)} trainings. All arms of a seed train on the same pictures, turned alike, for as many steps.",
            "Dice is averaged over structures and over the pictures that truly hold one. L is the last epoch; B is the best on validation labels, which are "
            "true ones. What cleansing does is measured against the planted truth, which training never sees.",
            "The weights that ship are those of the first seed, rounded to one byte a number; the numbers were measured after the rounding.",
        )
    )
