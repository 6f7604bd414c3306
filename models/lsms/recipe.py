"""Training the room's study and computing the card's numbers again (contract: `models.cli`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.lsms import study, study_report
from models.lsms.config import from_json
from models.lsms.plan import ARMS, OWN, Plan, read_plan
from models.lsms.record import METHOD
from models.lsms.training import answers
from models.shared.checkpoints import Card, DatasetUse, Metric

SHIPPED = ("shipped_miou", "shipped_empty_accuracy")


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused for what cannot be run."""
    plan = read_plan(config, seed)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    total = len(plan.runs)
    for run in study.pending(plan, folder):
        done = total - len(study.pending(plan, folder))
        for step, loss in study.run_one(plan, run, folder, device):
            text = f"{ARMS[run[0]].label} · seed {run[1]}"
            yield {
                "kind": "progress",
                "step": done,
                "steps": total,
                "fraction": (done + step / plan.steps) / total,
                "text": text,
                "message": text,
                "loss": loss,
            }
    yield {"kind": "result", "card": _card(plan, config, seed), "tensors": _tensors(plan)}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the test slices."""
    plan = read_plan(card.config, card.seed)
    test = study.tests_of(plan.tests, plan.test_phrases, plan.side)
    again: dict[str, Metric] = {}
    for arm in plan.arms:
        packed = {name.removeprefix(f"{arm}."): tensor for name, tensor in tensors.items() if name.startswith(f"{arm}.")}
        net = study.network_of(from_json(card.extra["arms"][arm]["network"]), packed)
        arrays = study.counted(answers(net, test), test)
        again |= study_report.card_metrics(arm, [study.Found(arrays, 0.0, "")], shipped=True)
    return again


def tolerance(name: str) -> float:
    """How far a number computed again may be off, as the order of sums differs between processors."""
    return 0.02 if "empty" in name else 3e-3


def parameters() -> tuple[int, int]:
    """All numbers of the small network, which all train."""
    import torch

    from models.lsms.network import LSMS

    with torch.device("meta"):
        count = sum(p.numel() for p in LSMS(ARMS[OWN].config()).parameters())
    return count, count


def _real(plan: Plan) -> dict | None:
    """The shipped network on real slices, where the data folder has them."""
    from models.lsms.real import look
    from models.lsms.wrapper import Predictor

    packed = study.weights(study.work_folder(plan), OWN, plan.seeds[0])
    return look(Predictor(study.network_of(ARMS[OWN].config(), packed))) if OWN in plan.arms else None


def _tensors(plan: Plan) -> dict[str, Tensor]:
    folder = study.work_folder(plan)
    return {f"{arm}.{name}": tensor for arm in plan.arms for name, tensor in study.weights(folder, arm, plan.seeds[0]).items()}


def _card(plan: Plan, config: Mapping[str, object], seed: int) -> Card:
    folder = study.work_folder(plan)
    found = {arm: [study.found(folder, arm, one) for one in plan.seeds] for arm in plan.arms}
    metrics: dict[str, Metric] = study_report.ignoring_words(study.tests_of(plan.tests, plan.test_phrases, plan.side))
    for arm, runs in found.items():
        metrics |= study_report.card_metrics(arm, runs) | study_report.card_metrics(arm, runs[:1], shipped=True)
    count, trained = parameters()
    said = study_report.findings(found)
    preset = next((preset.name for preset in METHOD.presets if dict(preset.config) == dict(config)), "")
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=(
            DatasetUse(
                name="abdomen_phrases", title="Liver-CT-like slices with phrases", kind="phantom", licence="made here, CC0", n_train=plan.slices,
                n_validation=0, n_test=plan.tests, note=f"Made-up pictures, no patients. {plan.phrases} phrases a training slice, {plan.test_phrases} a test slice.",
            ),
        ),
        recipe=" ".join(["python -m models train lsms", *([f"--preset {preset}"] if preset else []), *([f"--seed {seed}"] if seed else [])]),
        seed=seed,
        seconds=sum(one.seconds for runs in found.values() for one in runs),
        hardware=", ".join(sorted({one.hardware for runs in found.values() for one in runs})),
        parameters=count,
        trained_parameters=trained,
        metrics=metrics,
        loses=tuple(sentence for sentence in said if ": worse" in sentence or "no difference" in sentence),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=f"Every number is the mean of {len(plan.seeds)} trainings; intervals redraw the test slices. The last weights are kept, rounded to one byte a number.",
        extra={"findings": said, "real": _real(plan), "arms": {arm: {"label": ARMS[arm].label, "network": ARMS[arm].config().as_json()} for arm in plan.arms}},
    )  # fmt: skip
