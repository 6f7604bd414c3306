"""Training the room's studies and computing the card's numbers again (contract: `models.cli`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.hsvlt import study, study_report
from models.hsvlt.config import from_json
from models.hsvlt.plan import ARMS, Plan, RunId, Task, read_plan
from models.hsvlt.record import METHOD
from models.hsvlt.study_data import parts, phantom_tests
from models.hsvlt.training import answers
from models.shared.checkpoints import Card, DatasetUse, Metric


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused or DataNotHere for what cannot be run."""
    plan = read_plan(config, seed)
    total = len(plan.runs)
    for place, run in enumerate(study.pending(plan), total - len(study.pending(plan))):
        task = plan.task(run.task)
        for step, loss in study.run_one(plan, run, device):
            text = f"{task.title} · {ARMS[run.arm].label} · seed {run.seed}"
            yield {
                "kind": "progress", "step": place, "steps": total, "fraction": (place + step / task.steps) / total, "text": text, "message": text,
                "loss": loss,
            }  # fmt: skip
    yield {"kind": "result", "card": _card(plan, config, seed), "tensors": _tensors(plan)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the made-up test pictures."""
    task = read_plan(card.config, card.seed).task("findings")
    test = phantom_tests(task.tests, task.side)
    again: dict[str, Metric] = {}
    for arm, kept in card.extra["arms"].items():
        own = {name.removeprefix(f"{arm}."): tensor for name, tensor in tensors.items() if name.startswith(f"{arm}.")}
        scores = answers(study.network_of(from_json(kept["network"]), own), test.x, own[study.VECTORS]).numpy()
        one = study.Found(scores.round(5), scores * float("nan"), 0.0, "")
        again |= study_report.shipped(task, arm, study_report.redrawn(task, [one], test.y.numpy()))
    return again


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    return 3e-3


def parameters() -> tuple[int, int]:
    """All numbers of the small network, which all train."""
    import torch

    from models.hsvlt.config import Config
    from models.hsvlt.network import HSVLT

    with torch.device("meta"):
        count = sum(p.numel() for p in HSVLT(Config()).parameters())
    return count, count


def _tensors(plan: Plan) -> dict[str, Tensor]:
    return {f"{arm}.{name}": tensor for arm in plan.task("findings").arms for name, tensor in study.tensors(plan, arm).items()}


def _card(plan: Plan, config: Mapping[str, object], seed: int) -> Card:
    metrics: dict[str, Metric] = {}
    real: dict[str, dict] = {}
    said: list[str] = []
    seconds, machines = 0.0, set()
    for task in plan.tasks:
        y = parts(task, plan.seeds[0])[1].y.numpy()
        found = {arm: [study.found(plan, RunId(task.id, arm, one)) for one in plan.seeds] for arm in task.arms}
        seconds += sum(one.seconds for runs in found.values() for one in runs)
        machines |= {one.hardware for runs in found.values() for one in runs}
        made: dict[str, Metric] = {}
        redrawn = {arm: study_report.redrawn(task, runs, y) for arm, runs in found.items()}
        for arm, runs in found.items():
            made |= study_report.card_metrics(task, arm, runs, y, redrawn[arm])
            if task.kind == "phantom":
                alone = redrawn[arm] if len(runs) == 1 else study_report.redrawn(task, runs[:1], y)
                made |= study_report.shipped(task, arm, alone)
        said += study_report.findings(task, redrawn)
        if task.kind == "phantom":
            metrics |= made
        else:  # their weights do not ship, so evaluate cannot compute these again
            real[task.id] = {"title": task.title, "metrics": {name: value.model_dump() for name, value in made.items()}, "n": len(y)}
    count, trained = parameters()
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    arms = {
        arm: {"label": ARMS[arm].label, "network": _network(plan.task("findings"), arm).as_json()} for arm in plan.task("findings").arms
    }
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=(_use(plan.task("findings")),),
        recipe=" ".join(
            ["python -m models train hsvlt", *([f"--preset {preset}"] if preset else []), *([f"--seed {seed}"] if seed else [])]
        ),
        seed=seed,
        seconds=seconds,
        hardware=", ".join(sorted(machines)),
        parameters=count,
        trained_parameters=trained,
        metrics=metrics,
        loses=tuple(sentence for sentence in said if ": worse" in sentence or "no difference" in sentence),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=f"Every number is the mean of {len(plan.seeds)} trainings; intervals redraw the test pictures. The last weights are kept, rounded to one byte a number.",
        extra={"findings": said, "real": real, "arms": arms},
    )


def _network(task: Task, arm: str):
    return task.config(ARMS[arm], study.vectors_of(task, ARMS[arm].vectors).shape[1])


def _use(task: Task) -> DatasetUse:
    return DatasetUse(
        name="chest_findings", title="Made-up chest pictures with findings", kind="phantom", licence="made here, CC0", n_train=task.pool, n_validation=0,
        n_test=task.tests, note="No patients. None to five of eight findings of four sizes; some keep company.",
    )  # fmt: skip
