"""The phantom tasks, the study and its card: what is trained on what, and the numbers that come out."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F

from models.promim import METHOD, recipe, report
from models.promim.fit import Schedule, Shots, Training, answers, encode
from models.promim.network import class_texts
from models.promim.study import Measured, read_plan
from models.promim.tasks import TASKS, examples
from models.promim.weights import RunId, run_id
from models.shared.backbones.clip import Clip
from models.shared.data import phantoms
from models.shared.data.phantoms.facts import combinations
from models.shared.data.phantoms.generate import drawer_of

TINY = dict(METHOD.preset("quick").config) | {"tasks": ["brain"], "shots": 1, "test_per_class": 2, "epochs": 2, "seeds": [0, 1]}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
def test_new_classes_are_combinations_the_clip_never_met_of_words_it_knows(task) -> None:
    assert all(one.combination in phantoms.held_out(one.family) for one in task.new)
    assert not any(one.combination in phantoms.held_out(one.family) for one in task.base)
    assert len(task.base) == len(task.new) == len({*task.names("base"), *task.names("new")}) / 2
    for one in task.new:
        kind = next(kind for kind in drawer_of(one.family).FAMILY.kinds if kind.label == one.label)
        known = {value for combination in combinations(kind) if combination not in phantoms.held_out(one.family) for value in combination}
        assert set(one.combination) <= known


def test_pictures_show_the_class_they_stand_for() -> None:
    task = TASKS["brain"]
    drawn = task.draw("new", "unseen", 2)
    assert drawn.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    for label, seed, image in zip(drawn.labels, drawn.seeds, drawn.images, strict=True):
        one = task.new[label]
        side, zone, margin, density = one.combination
        again = phantoms.sample(
            one.family,
            seed,
            label=one.label,
            count=1,
            side=side,
            zone=zone,
            margin=margin,
            density=density,
            lesion_size=("medium", "large")[seed % 2],
        )
        assert (again.image == image).all()
        (lesion,) = again.lesions
        assert one.name == f"{lesion.density} {lesion.margin} {lesion.kind} in the {lesion.place}"


def test_examples_are_never_measured_on() -> None:
    shown = examples("chest")
    assert len(shown) == 16
    assert [one.group for one in shown] == ["base"] * 8 + ["new"] * 8
    assert shown[9].name == TASKS["chest"].names("new")[1]


def test_the_sweep_holds_every_setting_once() -> None:
    plan = read_plan(METHOD.preset("embedded").config)
    promim = [run for run in plan.runs if run.arm == "promim"]
    assert len(set(plan.runs)) == len(plan.runs)
    assert {(run.ratio, run.weight) for run in promim} == {(r, w) for r in (0, 0.25, 0.5, 0.75, 0.9) for w in (0, 2)} - {(0, 0)}
    assert sum((run.ratio, run.weight) == (0.75, 2.0) for run in promim) == len(plan.seeds) == 5
    assert run_id("promim", ratio=0.0, weight=0.0, seed=2) == RunId("cocoop", seed=2)


@pytest.mark.parametrize(
    ("change", "says"), [({"tasks": ["toes"]}, "toes"), ({"lr": -1}, "lr"), ({"speed": 3}, "speed"), ({"seeds": []}, "seeds")]
)
def test_a_plan_that_cannot_be_run_is_refused_in_a_sentence(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_plan(TINY | change)


def test_the_rate_warms_up_then_falls_as_a_cosine() -> None:
    schedule = Schedule(epochs=10, lr=2e-3)
    assert schedule.rate(0) == 1e-5
    assert schedule.rate(1) == 2e-3
    assert schedule.rate(6) == pytest.approx(1e-3)
    assert schedule.rate(9) == pytest.approx(2e-3 * 0.5 * (1 - 0.809017), abs=1e-8)


def test_training_lowers_the_loss_and_leaves_the_towers_alone(tiny: Clip) -> None:
    before = tiny.model.text_projection.clone()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    texts = class_texts(tiny, ("mass", "cyst", "tumour"))
    image = F.normalize(texts.hand[labels.flip(0)] - texts.hand.mean(dim=0), dim=-1)  # pictures that are named wrongly at first
    shots = Shots(image, labels, image[:, None])
    training = Training(tiny, texts, shots, arm="cocoop", schedule=Schedule(epochs=30, batch=6, lr=0.1))
    losses = [event.loss for event in training]
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(tiny.model.text_projection, before)
    assert answers(tiny, training.learner, texts, image, image).shape == (6, 3)


def test_a_training_is_the_same_every_time(tiny: Clip) -> None:
    image = encode(tiny, torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    shots, texts = Shots(image, torch.tensor([0, 1, 0, 1]), image[:, None]), class_texts(tiny, ("mass", "cyst"))
    runs = [Training(tiny, texts, shots, arm="promim", weight=2.0, seed=3, schedule=Schedule(2, 2, 0.02)).run() for _ in range(2)]
    assert torch.equal(runs[0].context, runs[1].context)


@pytest.fixture(scope="module")
def finished(tiny: Clip) -> dict:
    events = list(recipe.study(tiny, read_plan(TINY), TINY, seed=0, began=time.perf_counter(), device="cpu"))
    assert all(event["kind"] == "progress" and event["step"] <= event["steps"] for event in events[:-1])
    return events[-1]


def test_the_study_ends_with_a_whole_card(finished: dict) -> None:
    card = finished["card"]
    assert {"brain/base", "brain/new", "brain/h", "brain/h@clip", "brain/new@coop", "brain/base@cocoop", "brain/h@kgcoop"} <= set(
        card.metrics
    )
    assert all(metric.kind == "phantom" for metric in card.metrics.values())
    assert all(use.kind == "phantom" and use.n_train and use.n_test for use in card.datasets)
    assert card.recipe.startswith("python -m models train promim")
    assert "Phantoms" in card.notes


def test_the_cards_numbers_come_back_from_its_weights(finished: dict, tiny: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "load_clip", lambda name: tiny)
    again = recipe.evaluate(finished["card"], finished["tensors"])
    assert again == finished["card"].metrics


def measured(arm: str, seed: int, base: str, new: str, *, ratio: float = 0.0, weight: float = 0.0) -> Measured:
    bits = [torch.tensor([bit == "x" for bit in half]) for half in (base, new)]
    return Measured("brain", RunId(arm, ratio, weight, seed), *bits)


def test_base_new_and_h_are_what_a_pencil_says() -> None:
    rows = [
        measured("clip", 0, "xx..", "xxx."),
        measured("promim", 0, "xxx.", "x...", ratio=0.75, weight=2.0),
        measured("promim", 1, "xxxx", "xx..", ratio=0.75, weight=2.0),
        measured("promim", 0, "x...", "x...", ratio=0.5),
    ]
    found = report.card_metrics(rows)
    assert found["brain/base"].value == pytest.approx(0.875)
    assert found["brain/new"].value == pytest.approx(0.375)
    assert found["brain/h"].value == pytest.approx((0.375 + 2 / 3) / 2)
    assert found["brain/h"].n == 2
    assert found["brain/new@clip"].value == 0.75
    assert found["brain/new@clip"].interval == "Wilson"
    assert found["brain/h@clip"].value == pytest.approx(0.6)
    assert found["brain/base@promim-r50-w0"].value == 0.25


def test_where_promim_does_not_win_is_said_from_the_numbers() -> None:
    rows = [measured("promim", seed, "xxx.", "x...", ratio=0.75, weight=2.0) for seed in range(3)]
    rows += [measured("cocoop", seed, "xx..", "xx..") for seed in range(3)]
    rows += [measured("coop", 0, "x...", "x..."), measured("coop", 1, "xxxx", "...."), measured("coop", 2, "x...", "....")]
    said = report.loses(report.card_metrics(rows), report.gains(rows))
    text = " ".join(said)
    assert "worse than CoCoOp (50.0 %)" in text
    assert "CoOp (50.0 %)" in text
    assert not report.loses(report.card_metrics(rows[:6]), {name: gain for name, gain in report.gains(rows[:6]).items() if "base" in name})
