"""The studies: plan, packing, one tiny study from pictures to card, and the numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.self_cleansing import recipe, study, study_data, study_report
from models.self_cleansing.diagnostics import auroc, label_quality, rates
from models.self_cleansing.network import build
from models.self_cleansing.plan import ABLATIONS, ARMS, DEFAULT, NONE, RATES, SETTINGS, TASKS, PlanRefused, read_plan
from models.self_cleansing.record import METHOD
from models.self_cleansing.study import Found, RunId, all_runs, found_of, pending, run_one, weights_of
from models.self_cleansing.study_report import Cell
from models.self_cleansing.training import mean_dice
from models.self_cleansing.weights import parameters_of
from models.shared.packing import lay_in, pack, unpack
from tests.models.self_cleansing.conftest import TINY


# ---------------------------------------------------------------------- plan and packing
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"tasks": ["acdc"]}, "no study called 'acdc'"),
        ({"tasks": []}, "at least one study"),
        ({"seeds": 0}, "1 to 20 seeds"),
        ({"speed": 1}, "no setting called speed"),
        ({"tasks": {"liver": {"settings": {"none": ["magic"]}}}}, "some of the arms"),
        ({"tasks": {"liver": {"settings": {"fog-50": ["clean"]}}}}, "some of the settings"),
        ({"tasks": {"liver": {"training": {"colour": 1}}}}, "has the settings"),
        ({"tasks": {"liver": {"training": {"warmup": 30}}}}, "Warm-up takes"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(config, words):
    with pytest.raises(PlanRefused, match=words):
        read_plan(config)


def test_the_full_plan_has_every_noise_rate_and_ablation():
    plan = read_plan(METHOD.preset("full").config)
    liver, plain, busi, isic = plan.tasks
    assert plain.settings == liver.settings | {NONE: plain.settings[NONE]}
    for kind in ("asymmetric", "mixed", "missing", "shift", "swapped"):
        for rate in RATES:
            assert {"noisy", "cleansed"} <= set(liver.settings[f"{kind}-{round(100 * rate)}"])
    assert set(liver.settings[NONE]) == {"clean", "guard"}
    assert set(liver.settings[NONE]) | set(liver.settings[DEFAULT]) == set(ARMS)
    for task in (busi, isic):
        assert task.settings == {NONE: ("clean",), DEFAULT: ("noisy", "cleansed")}
    assert len(plan.seeds) == 3
    assert all(noise is None or noise.alpha in RATES for noise in SETTINGS.values())


def test_the_shipped_plan_answers_the_main_questions_first_and_stays_small():
    from models.self_cleansing.workers import in_order

    plan = read_plan(METHOD.preset("").config)
    liver, plain, *real = plan.tasks
    assert not plain.training.flips
    for setting in set(liver.settings) - {NONE}:
        assert {"noisy", "cleansed"} <= set(liver.settings[setting])
    assert [task.settings for task in real] == [{NONE: ("clean",), DEFAULT: ("noisy", "cleansed")}] * 2
    assert len(plan.seeds) == 3
    runs = in_order(plan, all_runs(plan))
    assert sorted(run.name for run in runs) == sorted(run.name for run in all_runs(plan))
    assert runs[0].task == "liver"
    assert all(run.setting == DEFAULT for run in runs[-4:])
    first_ablation = next(i for i, run in enumerate(runs) if run.arm in ABLATIONS)
    assert {run.arm for run in runs[first_ablation:]} <= set(ABLATIONS)
    kept = 0
    for run in (run for run in all_runs(plan) if plan.first(run.seed) and study.ships(plan.task(run.task))):
        arm = ARMS[run.arm]
        models = ["last", "best", *(["teacher"] if arm.cleansing and arm.ema else [])]
        kept += parameters_of(plan.task(run.task)) * sum(study.kept_model(run, model) for model in models)
    assert kept < 9_000_000, "a byte each, and a checkpoint stays below 9.5 megabytes"


def test_listing_the_room_would_load_no_torch():
    code = (
        "import sys; from models.self_cleansing.record import METHOD; import models.self_cleansing, models.self_cleansing.insight, "
        "models.self_cleansing.results, models.self_cleansing.review; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_room_is_shown_and_hands_out_its_classes():
    import models.self_cleansing as room

    assert room.METHOD is METHOD
    assert room.UNet(3).classes == 3
    assert room.Cleanser.__name__ == "Cleanser"
    with pytest.raises(AttributeError):
        _ = room.nothing


def test_packed_weights_are_near_and_small_and_fit_their_own_network_alone():
    net = build(3, 1, (16, 32, 64), seed=0)
    state, packed = net.state_dict(), pack(net.state_dict())
    for name, value in unpack(packed).items():
        rows = state[name].flatten(1) if value.ndim > 1 else state[name][None]
        assert ((value.view_as(rows) - rows).abs() <= rows.abs().amax(dim=1, keepdim=True) / 127 / 2 + 1e-7).all()
    assert sum(t.numel() * t.element_size() for t in packed.values()) < 0.3 * sum(4 * t.numel() for t in state.values())
    with pytest.raises(ValueError, match="do not fit the network"):
        lay_in(build(3, 1, (8, 16), seed=0), packed)


# ---------------------------------------------------------------------- data
def test_seeds_share_no_training_picture_and_one_test():
    task = replace(TASKS["liver"], side=32, pool=4, tests=6)
    one, other = study_data.material(task, 0), study_data.material(task, 1)
    assert not any(torch.equal(a, b) for a in one.train.x for b in other.train.x)
    assert torch.equal(one.test.x, other.test.x)
    assert torch.equal(one.test.x, study_data.test_cases(task).x)
    assert study_data.spacing_mm(task) == 5.0


def test_all_arms_get_the_same_wrong_labels_and_seeds_others():
    task = replace(TASKS["liver"], side=32, pool=12)
    train = study_data.phantoms(task, "train", 12)
    one, again, other = (study.given_labels(task, DEFAULT, seed, train) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(study.given_labels(task, NONE, 0, train), train.masks)


def test_a_seed_draws_its_own_part_of_a_large_set():
    cases = study_data.Cases(torch.arange(20.0).view(20, 1, 1, 1), torch.zeros(20, 1, 1))
    one, again, other = (study_data._drawn(cases, 8, seed).x.flatten().tolist() for seed in (0, 0, 1))
    assert one == again == sorted(set(one))
    assert len(one) == 8
    assert one != other
    assert study_data._drawn(cases, 20, 0) is cases


def test_half_precision_trains_as_well_and_arms_still_start_alike():
    from models.self_cleansing.checks import scene
    from models.self_cleansing.plan import Training
    from models.self_cleansing.training import Run

    _, labels = scene(12)
    x, losses = (labels[:, None] / 3).float(), []
    for half in (False, True):
        run = Run(build(3, 1, (4, 8), 0), ARMS["clean"], Training(epochs=4, warmup=1, batch=4, half=half), x, labels)
        losses.append([one.loss for one in run.epochs()])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]


# ---------------------------------------------------------------------- numbers
def test_dice_auroc_and_rates_by_hand():
    truth = torch.tensor([[[1, 1, 0, 2]], [[0, 0, 0, 2]]])
    said = torch.tensor([[[1, 0, 0, 2]], [[1, 0, 0, 0]]])
    assert mean_dice(said, truth, 3) == pytest.approx((2 / 3 + (1 + 0) / 2) / 2)
    assert np.isnan(mean_dice(truth * 0, truth * 0, 3))
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert auroc(np.array([0.1, 0.4]), np.array([0, 0])) is None
    assert rates(np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)) == {"precision": 0.5, "recall": 0.5}
    assert rates(np.zeros(3, bool), np.zeros(3, bool)) == {"precision": None, "recall": None}


def test_label_quality_by_hand():
    truth = torch.tensor([[[1, 1, 0, 0]]], dtype=torch.uint8)
    given, cleansed = torch.tensor([[[1, 0, 0, 1]]], dtype=torch.uint8), torch.tensor([[[1, 1, 1, 1]]], dtype=torch.uint8)
    found = label_quality(cleansed, given, truth, 2)
    assert found["dice_before"] == 0.5
    assert found["dice_after"] == pytest.approx(2 * 2 / 6)
    assert (found["error_before"], found["error_after"]) == (0.5, 0.5)
    assert (found["flip_precision"], found["flip_recall"]) == (0.5, 0.5)


def _cell(setting: str, arm: str, dice: float, auroc_: float = 0.95) -> Cell:
    table = np.full((20, 2), dice)
    scores = {model: {"dice": table, "hd95": table, "missed": table * 0} for model in ("last", "best")}
    labels = {"dice_before": 0.7, "dice_after": 0.9, "flip_precision": 0.95, "flip_recall": 0.5}
    final = {"labels": labels, "pictures": {"auroc": auroc_}, "pixel_level": {"auroc": 0.97}}
    return Cell(TASKS["liver"], setting, arm, (Found(scores, 3, [], final, 1.0, 1.0, 1, ""),))


def test_what_is_won_back_and_what_is_said_of_it():
    cells = [_cell(NONE, "clean", 0.9), _cell(NONE, "guard", 0.89), _cell(DEFAULT, "noisy", 0.7), _cell(DEFAULT, "cleansed", 0.85)]
    found = study_report.recovered(cells)
    assert [one["model"] for one in found] == ["L", "B"]
    assert found[0]["share"] == pytest.approx(0.75)
    assert found[0]["reached"]
    gains = {(one["against"], one["model"]): one for one in study_report.gains(cells)}
    assert gains["noisy", "L"]["value"] == pytest.approx(0.15)
    assert gains["noisy", "L"]["verdict"] == "better"
    assert gains["clean", "B"]["verdict"] == "worse"
    said = " ".join(study_report.findings(cells))
    assert "75% of the loss won back" in said
    assert "which reaches 0.9" in said
    assert "called itself off in 100%" in said
    assert study_report.loses(list(gains.values())) == ()


def test_a_loss_of_next_to_nothing_and_a_rival_that_wins_are_said():
    cells = [_cell(NONE, "clean", 0.9), _cell("mixed-30", "noisy", 0.895), _cell("mixed-30", "cleansed", 0.88, auroc_=0.8)]
    assert study_report.recovered(cells)[0]["share"] is None
    said = " ".join(study_report.findings(cells))
    assert "costs next to nothing" in said
    assert "which misses 0.9" in said
    assert "has the higher Dice by 0.015" in study_report.loses(study_report.gains(cells))[0]


# ---------------------------------------------------------------------- from pictures to card
def test_a_tiny_study_leaves_a_whole_card(tiny):
    plan, folder, card, _ = tiny
    assert pending(plan, folder) == []
    expected = {"liver-none/dice_last@clean", "liver-none/label_dice_after@guard", "liver-asymmetric-50/dice_best"}
    expected |= {"liver-asymmetric-50/shipped_dice_teacher", "liver-asymmetric-50/picture_auroc", "liver-asymmetric-50/dice_last@noisy"}
    assert expected <= set(card.metrics)
    assert card.metrics["liver-asymmetric-50/dice_last"].kind == "phantom"
    assert card.extra["recovered"]
    assert card.extra["guard"]["label_dice"] <= 1
    assert set(card.extra["epochs"]) == {f"liver/{setting}/{arm}" for setting, arm in plan.tasks[0].arms()}
    assert len(card.datasets) == 1
    assert card.deviations
    assert "test" in found_of(RunId("liver", DEFAULT, "noisy", 0), folder).epochs[0]
    assert "test" not in found_of(RunId("liver", DEFAULT, "noisy", 1), folder).epochs[0]
    assert weights_of(RunId("liver", DEFAULT, "noisy", 1), folder) == {}


def test_what_ships_is_what_was_measured(tiny):
    from models.shared.checkpoints import load

    _, _, card, path = tiny
    tensors, _ = load(path)
    again = recipe.evaluate(card, tensors)
    assert set(again) == {name for name in card.metrics if "/shipped" in name}
    for name, metric in again.items():
        assert metric.value == pytest.approx(card.metrics[name].value, abs=recipe.tolerance(name))


def test_a_run_is_the_same_each_time(tiny, tmp_path):
    plan, folder, _, _ = tiny
    run = RunId("liver", DEFAULT, "cleansed", 1)
    events = list(run_one(plan, run, tmp_path))
    assert [one["epoch"] for one in events] == [1, 2, 3]
    one, again = found_of(run, folder), found_of(run, tmp_path)
    assert one.epochs == again.epochs
    assert np.array_equal(one.scores["last"]["dice"], again.scores["last"]["dice"], equal_nan=True)


def test_a_stopped_run_leaves_no_file(tiny, tmp_path):
    plan, *_ = tiny
    going = run_one(plan, RunId("liver", DEFAULT, "cleansed", 1), tmp_path)
    next(going)
    going.close()
    assert list(tmp_path.iterdir()) == []
    assert len(pending(plan, tmp_path)) == plan.runs


def test_train_takes_a_stopped_study_up_and_ends_with_a_card(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)
    plan, folder, card, _ = tiny
    here = study.work_folder(plan)
    here.mkdir(parents=True)
    for file in folder.iterdir():
        if file.name != "liver.none.clean.seed1.json":
            (here / file.name).write_bytes(file.read_bytes())
    events = list(recipe.train(TINY))
    assert {event["text"] for event in events[:-1]} == {"liver.none.clean.seed1", "Working out the numbers"}
    assert events[-1]["card"].metrics == card.metrics
    assert recipe.plan_of(card) == plan


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_quick_preset_trains_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    *_, result = recipe.train(METHOD.preset("quick").config)
    assert result["card"].metrics["liver-none/dice_last@clean"].value > 0.6
    again = recipe.evaluate(result["card"], result["tensors"])
    assert all(abs(metric.value - result["card"].metrics[name].value) <= recipe.tolerance(name) for name, metric in again.items())
