"""Training the room's study and computing the card's numbers again (contract: `models.cli`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from torch import Tensor

from models.neural_tuning import study, study_report
from models.neural_tuning.config import from_json, stn_parameters
from models.neural_tuning.measures import everything
from models.neural_tuning.plan import ARMS, OWN, Plan, RunId, read_plan
from models.neural_tuning.record import METHOD
from models.neural_tuning.study_data import test_cases, towers, train_cases
from models.neural_tuning.training import build
from models.shared.checkpoints import Card, DatasetUse, Metric


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused for what cannot be run."""
    plan = read_plan(config, seed)
    total, todo = len(plan.runs), study.pending(plan)
    for place, run in enumerate(todo, total - len(todo)):
        text = f"{ARMS[run.arm].label} · seed {run.seed}"
        for step, loss in study.run_one(plan, run, device):
            yield {
                "kind": "progress", "step": place, "steps": total, "fraction": (place + step / plan.steps) / total, "text": text, "message": text,
                "loss": loss,
            }  # fmt: skip
    yield {"kind": "result", "card": _card(plan, config, seed), "tensors": _tensors(plan)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the test pictures."""
    plan, decoder = read_plan(card.config, card.seed), towers()[1]
    test, _ = test_cases(plan)
    again: dict[str, Metric] = {}
    for arm, kept in card.extra["networks"].items():
        net = study.network_of(plan, from_json(kept), decoder, test.seen, of_arm(tensors, arm))
        said = {f"{task}/{what}": np.round(table, 5) for task, tables in everything(net, test).items() for what, table in tables.items()}
        again |= study_report.shipped_metrics(arm, said)
    return again


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    return 5e-3


def parameters() -> tuple[int, int]:
    """(numbers of language model, picture tower and method together, numbers that learn), of the full network."""
    clip, decoder = towers()
    net = _untrained(Plan())
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    return clip.parameters + decoder.parameters + trained, trained


def of_arm(tensors: Mapping[str, Tensor], arm: str) -> dict[str, Tensor]:
    """An arm's own tensors in the checkpoint."""
    prefix = f"{arm}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _untrained(plan: Plan, arm: str = OWN):
    clip, decoder = towers()
    return build(plan, plan.config(arm), decoder, study.blank(clip), 0)


def _tensors(plan: Plan) -> dict[str, Tensor]:
    return {f"{arm}.{name}": value for arm in plan.arms for name, value in study.tensors(plan, arm).items()}


def _card(plan: Plan, config: Mapping[str, object], seed: int) -> Card:
    found = {arm: [study.found(plan, RunId(arm, one)) for one in plan.seeds] for arm in plan.arms}
    metrics: dict[str, Metric] = {}
    for arm, runs in found.items():
        metrics |= study_report.card_metrics(arm, runs) | study_report.shipped_metrics(arm, runs[0].said["test"])
    metrics |= study_report.baselines(train_cases(plan, plan.seeds[0]), test_cases(plan)[0], found[OWN][0])
    said = study_report.findings(found)
    every = [one for runs in found.values() for one in runs]
    count, trained = parameters()
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=(
            DatasetUse(
                name="phantom_requests", title="Phantoms with requests and answers of four tasks", kind="phantom", licence="made here, CC0",
                n_train=plan.pool, n_validation=0, n_test=2 * plan.tests, note="No patients. None to three lesions; requests to describe, outline, reason and draw.",
            ),
        ),
        recipe=" ".join(
            ["python -m models train neural_tuning", *([f"--preset {preset}"] if preset else []), *([f"--seed {seed}"] if seed else [])]
        ),
        seed=seed,
        seconds=sum(one.seconds for one in every),
        hardware=", ".join(sorted({one.hardware for one in every})),
        parameters=count,
        trained_parameters=trained,
        metrics=metrics,
        loses=tuple(sentence for sentence in said if ": worse" in sentence or "no difference" in sentence),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=(
            f"Every number is the mean of {len(plan.seeds)} training{'s' if len(plan.seeds) > 1 else ''}; intervals redraw the test pictures. The last "
            "weights are kept, rounded to one byte a number. Words and outlines are of given true answers, “written” ones of answers that the network "
            "writes itself. Swapped: the language model is shown another picture."
        ),
        extra={
            "findings": said,
            "seconds": {arm: float(np.mean([one.seconds for one in runs])) for arm, runs in found.items()},
            "trained": {arm: _sizes(plan, arm) for arm in plan.arms},
            "networks": {arm: plan.config(arm).as_json() for arm in plan.arms},
            "arms": {arm: {"label": ARMS[arm].label} for arm in plan.arms},
            "neurons": {arm: study_report.neurons(runs) for arm, runs in found.items() if runs[0].neurons},
        },
    )  # fmt: skip


def _sizes(plan: Plan, arm: str) -> dict[str, int]:
    """Numbers that learn in an arm, and how many of them are neurons'."""
    net, width = _untrained(plan, arm), towers()[1].width
    config = plan.config(arm)
    neurons = len(net.layers) * stn_parameters(width, config.neurons, config.targets)
    return {"all": sum(p.numel() for p in net.parameters() if p.requires_grad), "neurons": neurons}
