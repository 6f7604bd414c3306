"""The study: choice on validation rows, resuming, what its card says, and that evaluate finds the same numbers."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch

from models.shared.checkpoints import load, save
from models.shared.data import DataNotHere
from models.sofim import recipe, study, study_plan, study_report
from models.sofim.presets import PRESETS
from models.sofim.tasks import get

CONFIG = {
    "tasks": {"breast_cancer_mlp": {"arms": ["sofim", "sgd_momentum", "lbfgs"], "steps": 60}},
    "runs": 2,
    "grid_points": 3,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    events = list(recipe.train(CONFIG | {"work": str(folder)}, seed=0, device="cpu"))
    return SimpleNamespace(folder=folder, events=events, card=events[-1]["card"], tensors=events[-1]["tensors"])


def records(finished, pattern):
    return {path.name: json.loads(path.read_text()) for path in finished.folder.rglob(pattern)}


def test_progress_goes_from_the_first_to_the_last_run(finished):
    steps = [event["step"] for event in finished.events[:-1]]
    assert steps == list(range(1, 3 * (3 + 4 + 2) + 1))
    assert finished.events[-2]["fraction"] == 1


def test_the_setting_with_the_lowest_validation_loss_is_taken(finished):
    for row in finished.card.extra["table"]:
        searched = records(finished, f"breast_cancer_mlp.{row['arm']}.cell*.json").values()
        best = min((r for r in searched if not r["diverged"]), key=lambda r: r["validation_loss"])
        assert row["hyper"] == best["hyper"]


def test_the_card_survives_its_file_and_evaluate_finds_the_same_numbers(finished, tmp_path):
    save(tmp_path / "sofim.safetensors", finished.tensors, finished.card)
    tensors, card = load(tmp_path / "sofim.safetensors")
    again = recipe.evaluate(card, tensors)
    assert set(again) == set(card.metrics)
    for name, metric in again.items():
        assert metric.value == pytest.approx(card.metrics[name].value, abs=1e-6), name
    assert {"breast_cancer_mlp/test_accuracy", "breast_cancer_mlp/test_loss@lbfgs"} <= set(again)


def test_weights_that_were_tampered_with_are_noticed(finished):
    broken = {name: torch.zeros_like(value) for name, value in finished.tensors.items()}
    again = recipe.evaluate(finished.card, broken)
    name = "breast_cancer_mlp/test_loss"
    assert again[name].value == pytest.approx(math.log(2), abs=1e-6)
    assert abs(again[name].value - finished.card.metrics[name].value) > recipe.tolerance(name)


def test_a_finished_study_is_not_run_again(finished, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(study, "Lane", refuse)
    events = list(recipe.train(CONFIG | {"work": str(finished.folder)}, seed=0, device="cpu"))
    assert events[-1]["card"].metrics == finished.card.metrics


def test_a_stopped_study_goes_on_where_it_was(finished, tmp_path):
    first = recipe.train(CONFIG | {"work": str(tmp_path)}, seed=0, device="cpu")
    for _ in range(5):
        next(first)
    first.close()
    assert len(list(tmp_path.rglob("*.json"))) == 5
    events = list(recipe.train(CONFIG | {"work": str(tmp_path)}, seed=0, device="cpu"))
    same = {name: metric.value for name, metric in finished.card.metrics.items()}
    assert {name: metric.value for name, metric in events[-1]["card"].metrics.items()} == same


def test_other_settings_never_take_up_finished_runs(tmp_path):
    folders = {study_plan.work_folder(tmp_path, CONFIG | change, seed, "cpu") for change in ({}, {"runs": 3}) for seed in (0, 1)}
    assert len(folders) == 4
    assert study_plan.work_folder(tmp_path, dict(CONFIG), 0, "cpu") in folders


def test_absent_data_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    tasks = {"breast_cancer_mlp": {"arms": ["sofim"]}, "brain_mri_cnn": {"arms": ["sofim"]}}
    plan = study_plan.read_plan({"tasks": tasks}, 0)
    assert [part.task.id for part in plan.parts] == ["breast_cancer_mlp"]
    assert plan.left_out == ("Brain MRI, four classes: This task needs files that are not on this machine: the brain MRI files.",)
    with pytest.raises(study_plan.PlanRefused, match=r"^None of the study's tasks can run on this machine"):
        study_plan.read_plan({"tasks": {"brain_mri_cnn": {"arms": ["sofim"]}}}, 0)


def test_evaluate_without_any_data_says_so(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    runs = {name.replace("breast_cancer_mlp", "brain_mri_cnn"): value for name, value in finished.tensors.items()}
    with pytest.raises(DataNotHere):
        recipe.evaluate(finished.card, runs)


def test_a_run_that_blows_up_counts_with_its_untrained_network(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "cells", lambda arm_id, points: [{"lr": 1e6}])
    plan = study_plan.read_plan({"tasks": {"breast_cancer_mlp": {"arms": ["sgd_momentum"], "steps": 20}}, "runs": 2, "grid_points": 1}, 0)
    made = study.Study(plan, tmp_path, torch.device("cpu"))
    assert len(list(made.run())) == 1 + 4 + 2
    (part,) = plan.parts
    final = made.final_record(part, "sgd_momentum", 0)
    fresh = study.make_model(get("breast_cancer_mlp"), 0).state_dict()
    assert final["diverged"]
    assert all(torch.equal(value, fresh[name]) for name, value in made.weights(part, "sgd_momentum", 0).items())
    row = study_report.table_row(made, part, "sgd_momentum")
    assert (row["diverged_settings"], row["diverged_runs"]) == (5, 2)
    assert row["targets"]["test_loss"] == {"reached": 0, "steps": None, "seconds": None, "words": None}


def test_a_part_of_the_grid_is_spread_over_it_and_the_whole_has_the_same_size_for_all():
    assert {len(study_plan.cells(arm, 12)) for arm in study_plan.ARMS} == {12}
    few, whole = study_plan.cells("sofim", 3), study_plan.cells("sofim", 12)
    assert [whole.index(cell) for cell in few] == [2, 6, 10]


def test_the_second_search_goes_on_beyond_the_grid_where_the_best_lies_at_its_end():
    grid = next(hyper.grid for hyper in study_plan.ARMS["sofim"].hypers if hyper.name == "lr")
    assert grid == (0.01, 0.0464, 0.215, 1.0)  # ratio 4.64
    inside, above, below = (study_plan.finer("sofim", {"lr": rate, "rho": 0.1}) for rate in (0.0464, 1.0, 0.01))
    assert [cell["lr"] for cell in inside] == [0.0215, 0.0316, 0.0681, 0.0999]
    assert [cell["lr"] for cell in above] == [0.464, 2.15, 4.64, 9.99]
    assert [cell["lr"] for cell in below] == [0.0215, 0.00464, 0.00216, 0.001]
    assert {cell["rho"] for cell in (*inside, *above, *below)} == {0.1}


def row(arm, accuracy, loss, steps):
    spread = {"mean": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01}
    cost = {"mean": loss, "low": loss - 0.02, "high": loss + 0.02}
    targets = {"test_accuracy": {"steps": steps}, "test_loss": {"steps": 10}, "train_loss": {"steps": 10}}
    return {"task": "digits_mlp", "arm": arm, "label": arm.upper(), "test_accuracy": spread, "test_loss": cost, "targets": targets}


def test_every_measure_in_which_a_baseline_wins_becomes_a_sentence():
    table = [row("sofim", 0.95, 0.30, None), row("adam", 0.96, 0.20, 40), row("lbfgs", 0.90, 0.40, 30), row("sofim_b", 0.99, 0.01, 5)]
    part = study_plan.Part(get("digits_mlp"), ("sofim", "adam", "lbfgs", "sofim_b"), 400)
    assert study_report.loses(table, [part]) == (
        "Handwritten digits, small network: SOFIM's test accuracy (95.0 %, 95 % interval 94.0 to 96.0) is lower than that of "
        "ADAM (96.0 %, 95 % interval 95.0 to 97.0; intervals overlap).",
        "Handwritten digits, small network: SOFIM's test loss (0.300, 95 % interval 0.280 to 0.320) is higher than that of "
        "ADAM (0.200, 95 % interval 0.180 to 0.220; intervals apart).",
        "Handwritten digits, small network: the target of a test accuracy of 0.95 was not reached by the median run; "
        "sooner: LBFGS (all rows at each step) 30; ADAM 40.",
    )


def test_nothing_is_said_where_nothing_is_lost():
    table = [row("sofim", 0.95, 0.1, 10), row("adam", 0.95 + 1e-13, 0.2, 40)]
    assert study_report.loses(table, [study_plan.Part(get("digits_mlp"), ("sofim", "adam"), 400)]) == ()


def test_late_seeds_count_as_infinitely_late():
    assert study_report._median_or_none([10, None, 30]) == 30
    assert study_report._median_or_none([10, None, None]) is None
    assert study_report.steps_metric([10, None, 30]) is None
    assert study_report.steps_metric([10, 20, 60]).model_dump(include={"value", "low", "high", "n"}) == {
        "value": 20,
        "low": 10,
        "high": 60,
        "n": 3,
    }


def test_the_embedded_preset_gives_every_optimiser_the_same_search_and_five_seeds():
    embedded = PRESETS[0]
    plan = study_plan.read_plan({**embedded.config, "tasks": {"digits_mlp": embedded.config["tasks"]["digits_mlp"]}}, 0)
    assert (embedded.name, plan.grid_points, plan.seeds) == ("embedded", 12, (0, 1, 2, 3, 4))
    assert plan.grid_seed not in plan.seeds
    assert len(plan.parts[0].arms) == 10


@pytest.mark.slow
def test_the_quick_preset_runs_through(tmp_path):
    quick = next(preset for preset in PRESETS if preset.name == "quick")
    events = list(recipe.train(dict(quick.config) | {"work": str(tmp_path)}, seed=0, device="cpu"))
    assert events[-1]["card"].recipe == "python -m models train sofim --preset quick --seed 0 --device cpu"
