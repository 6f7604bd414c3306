"""Training the room's studies and computing the card's numbers again (contract: `models.cli`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.mit import study, study_report
from models.mit.config import from_json, infusion_parameters
from models.mit.plan import ARMS, Plan, RunId, Task, read_plan
from models.mit.record import METHOD
from models.mit.study_data import test_cases, towers
from models.mit.training import answers, build
from models.shared.checkpoints import Card, DatasetUse, Metric


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused for what cannot be run."""
    plan = read_plan(config, seed)
    total, todo = len(plan.runs), study.pending(plan)
    for place, run in enumerate(todo, total - len(todo)):
        task = plan.task(run.task)
        for step, loss in study.run_one(plan, run, device):
            text = f"{task.title} · {ARMS[run.arm].label} · seed {run.seed}"
            yield {
                "kind": "progress", "step": place, "steps": total, "fraction": (place + step / task.steps) / total, "text": text, "message": text,
                "loss": loss,
            }  # fmt: skip
    yield {"kind": "result", "card": _card(plan, config, seed), "tensors": _tensors(plan)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the test pictures."""
    plan, decoder = read_plan(card.config, card.seed), towers()[1]
    again: dict[str, Metric] = {}
    for task in plan.tasks:
        test, unseen = test_cases(task)
        for arm, kept in card.extra["networks"][task.id].items():
            net = study.network_of(task, from_json(kept), decoder, test.seen, of_arm(tensors, task.id, arm))
            said = answers(net, test)
            one = said.numpy().round(5) if task.id == "notes" else study.overlaps(said > study.THRESHOLD, test)
            run = study.Found({"test": one, "unseen": one, "swapped": one}, 0.0, "")
            again |= study_report.card_metrics(task, arm, [run], test, unseen, shipped=True)
    return again


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    return 5e-3


def parameters() -> tuple[int, int]:
    """(numbers of language model, picture tower and method together, numbers that learn), of the full network that judges notes."""
    clip, decoder = towers()
    task = read_plan({}).task("notes")
    config = task.config("full")
    llama = decoder.model.config
    trained = (
        len(config.layers) * infusion_parameters(decoder.width, llama.intermediate_size, decoder.heads, clip.embed_dim)
        + 3 * decoder.width
        + 3
    )
    return clip.parameters + decoder.parameters + trained, trained


def of_arm(tensors: Mapping[str, Tensor], task: str, arm: str) -> dict[str, Tensor]:
    """A network's own packed weights in the checkpoint."""
    prefix = f"{task}.{arm}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _tensors(plan: Plan) -> dict[str, Tensor]:
    return {
        f"{task.id}.{arm}.{name}": value
        for task in plan.tasks
        for arm in task.arms
        for name, value in study.tensors(plan, task, arm).items()
    }


def _card(plan: Plan, config: Mapping[str, object], seed: int) -> Card:
    metrics: dict[str, Metric] = {}
    said: list[str] = []
    seconds, machines, spent, sizes = 0.0, set(), {}, {}
    for task in plan.tasks:
        test, unseen = test_cases(task)
        found = {arm: [study.found(plan, RunId(task.id, arm, one)) for one in plan.seeds] for arm in task.arms}
        seconds += sum(one.seconds for runs in found.values() for one in runs)
        machines |= {one.hardware for runs in found.values() for one in runs}
        for arm, runs in found.items():
            metrics |= study_report.card_metrics(task, arm, runs, test, unseen)
            metrics |= study_report.card_metrics(task, arm, runs[:1], test, unseen, shipped=True)
        if task.id == "outline":
            metrics |= study_report.all_lesions(task, test)
        said += study_report.findings(task, found, test)
        spent[task.id] = study_report.speeds(found)
        sizes[task.id] = {arm: _size(task, arm) for arm in task.arms}
    count, trained = parameters()
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=tuple(_use(task) for task in plan.tasks),
        recipe=" ".join(
            ["python -m models train mit", *([f"--preset {preset}"] if preset else []), *([f"--seed {seed}"] if seed else [])]
        ),
        seed=seed,
        seconds=seconds,
        hardware=", ".join(sorted(machines)),
        parameters=count,
        trained_parameters=trained,
        metrics=metrics,
        loses=tuple(sentence for sentence in said if ": worse" in sentence or "no difference" in sentence),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=(
            f"Every number is the mean of {len(plan.seeds)} trainings; intervals redraw the test pictures. The last weights are kept, rounded to one byte a "
            "number. Swapped: the language model is given another picture's vector. Relational phrases name a lesion that depends on the others."
        ),
        extra={
            "findings": said, "seconds": spent, "trained": sizes,
            "networks": {task.id: {arm: task.config(arm).as_json() for arm in task.arms} for task in plan.tasks},
            "arms": {arm: {"label": ARMS[arm].label} for task in plan.tasks for arm in task.arms},
        },
    )  # fmt: skip


def _size(task: Task, arm: str) -> int:
    """Numbers that learn in an arm, its head among them."""
    return sum(p.numel() for p in build(task, task.config(arm), towers()[1], test_cases(task)[0].seen, 0).parameters())


def _use(task: Task) -> DatasetUse:
    notes = task.id == "notes"
    return DatasetUse(
        name="phantom_notes" if notes else "phantom_phrases", title="Phantoms with notes" if notes else "Phantoms of several lesions with phrases",
        kind="phantom", licence="made here, CC0", n_train=task.pool, n_validation=0, n_test=2 * task.tests,
        note="No patients. " + ("Notes agree, contradict in one trait, or belong to another picture." if notes else "Two or three lesions; phrases by place, looks, order, or what is not meant."),
    )  # fmt: skip
