"""What both rooms' recipes are made of: training, card and recomputing, given the room's record and arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.method import Method
from models.shared.prompt_interaction import report, study
from models.shared.prompt_interaction.config import Config
from models.shared.prompt_interaction.plan import ARMS, OWN, Plan, read_plan
from models.shared.prompt_interaction.training import answers


def train(method: Method, arms: Sequence[str], config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused for what cannot be run."""
    plan = read_plan(arms, config, seed)
    total, todo = len(plan.runs), study.pending(plan)
    for place, run in enumerate(todo, total - len(todo)):
        for step, loss in study.run_one(plan, run, device):
            text = f"{ARMS[run[0]].label} · seed {run[1]}"
            yield {
                "kind": "progress", "step": place, "steps": total, "fraction": (place + step / plan.steps) / total, "text": text, "message": text,
                "loss": loss,
            }  # fmt: skip
    yield {"kind": "result", "card": _card(method, plan, config, seed), "tensors": _tensors(plan)}


def evaluate(arms: Sequence[str], card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the test pairs."""
    plan = read_plan(arms, card.config, card.seed)
    test, unseen = study.test_pairs(plan.tests)
    again: dict[str, Metric] = {}
    for arm in plan.arms:
        own = {name.removeprefix(f"{arm}."): value for name, value in tensors.items() if name.startswith(f"{arm}.")}
        net = study.network_of(study.clip_of(), Config(**card.extra["arms"][arm]["network"]), own)
        said = answers(net, test, arm).numpy()
        again |= report.card_metrics(arm, [study.Found(said, said, said, 0.0, "")], test, unseen, shipped=True)
    return again


def parameters(config: Mapping[str, object] | None = None) -> tuple[int, int]:
    """(numbers of towers and method together, numbers that learn) of the full network on the small CLIP."""
    clip = study.clip_of()
    settings = {name: value for name, value in (config or {}).items() if name != "arms"}
    net = study.build(clip, read_plan((OWN,), settings), OWN, 0)
    return clip.parameters + net.trained(), net.trained()


def _tensors(plan: Plan) -> dict[str, Tensor]:
    return {f"{arm}.{name}": value for arm in plan.arms for name, value in study.tensors(plan, arm).items()}


def _card(method: Method, plan: Plan, config: Mapping[str, object], seed: int) -> Card:
    test, unseen = study.test_pairs(plan.tests)
    found = {arm: [study.found(plan, arm, one) for one in plan.seeds] for arm in plan.arms}
    metrics: dict[str, Metric] = {}
    for arm, runs in found.items():
        metrics |= report.card_metrics(arm, runs, test, unseen) | report.card_metrics(arm, runs[:1], test, unseen, shipped=True)
    said = report.findings(found, test)
    total, trained = parameters(config)
    preset = next((preset.name for preset in method.presets if dict(preset.config) == dict(config)), "")
    use = DatasetUse(
        name="phantom_notes", title="Phantoms of four kinds with notes", kind="phantom", licence="made here, CC0", n_train=plan.pool, n_validation=0,
        n_test=plan.tests, note="No patients. Notes agree, contradict in one trait, or belong to another picture; traits are left out at random.",
    )  # fmt: skip
    return Card(
        method=method.id,
        title=method.title,
        config=dict(config),
        datasets=(use,),
        recipe=" ".join(
            [f"python -m models train {method.id}", *([f"--preset {preset}"] if preset else []), *([f"--seed {seed}"] if seed else [])]
        ),
        seed=seed,
        seconds=sum(one.seconds for runs in found.values() for one in runs),
        hardware=", ".join(sorted({one.hardware for runs in found.values() for one in runs})),
        parameters=total,
        trained_parameters=trained,
        metrics=metrics,
        loses=tuple(sentence for sentence in said if ": worse" in sentence or "no difference" in sentence),
        deviations=tuple(vars(deviation).copy() for deviation in method.deviations),
        notes=f"Every number is the mean of {len(plan.seeds)} trainings; intervals redraw the test pictures with their notes. The last weights are kept.",
        extra={"findings": said, "arms": {arm: {"label": ARMS[arm].label, "network": plan.config(arm).as_json()} for arm in plan.arms}},
    )
