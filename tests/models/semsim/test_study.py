"""The studies: plan, working folder shared by processes, one tiny study from pictures to card, and the numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.semsim import recipe, study, study_report
from models.semsim.plan import ARMS, FIXMATCH, MAIN, OWN, SUPERVISED, TASKS, PlanRefused, RunId, read_plan
from models.semsim.record import METHOD
from models.semsim.study import Found, pending, run_one
from models.semsim.study_data import labelled_rows, material, phantom_cases
from models.semsim.training import LOGGED, build, fit
from models.semsim.weights import parameters_of
from models.semsim.wrapper import load_predictor
from models.shared.checkpoints import save
from models.shared.data import is_here
from models.shared.packing import lay_in, pack, unpack
from models.shared.segmentation_metrics import case_scores

TINY = {
    "labelled": [1, 2],
    "arms": ["supervised", "fixmatch", "semsim"],
    "ablations": ["semsim_minus"],
    "side": 32,
    "pool": 8,
    "tests": 12,
    "training": {"steps": 4, "labelled_batch": 2, "unlabelled_batch": 2},
    "network": {"windows": 2},
}


# ---------------------------------------------------------------------- plan and data
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"tasks": ["acdc"]}, "no study called 'acdc'"),
        ({"tasks": []}, "at least one study"),
        ({"tasks": ["isic"]}, "name the cardiac study too"),
        ({"seeds": 0}, "1 to 20 seeds"),
        ({"speed": 1}, "no setting called speed"),
        ({"tasks": {"cardiac": {"arms": ["magic"]}}}, "arms of a study are some of"),
        ({"tasks": {"cardiac": {"labelled": [4, 1]}}}, "smallest comes first"),
        ({"tasks": {"cardiac": {"training": {"magic": 1}}}}, "has the settings"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(config, words):
    with pytest.raises(PlanRefused, match=words):
        read_plan(config)


def test_the_shipped_plan_has_every_arm_and_fits():
    longer = read_plan(METHOD.preset("gpu").config).tasks[0]
    assert set(longer.arms_at(longer.labelled[0])) == set(ARMS)
    plan = read_plan(METHOD.preset("embedded").config)
    cardiac, isic = plan.tasks
    assert set(cardiac.arms_at(cardiac.labelled[0])) == set(MAIN)
    assert {arm for labelled in cardiac.labelled[1:] for arm in cardiac.arms_at(labelled)} == {OWN, FIXMATCH, SUPERVISED}
    assert isic.labelled == (0.03, 0.1)
    assert isic.count(0.03, 1500) == 45
    assert len(plan.seeds) == 3
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    shipped = [run for run in plan.runs if plan.ships(run)]
    assert {run.task for run in shipped} == {"cardiac"}
    assert sum(parameters_of(cardiac.config(ARMS[run.arm]))["all"] for run in shipped) < 9_000_000, "a byte each"
    assert all(abs(sum(arm.weights) - 1) < 1e-9 for arm in ARMS.values() if arm.unlabelled)


def test_listing_the_room_would_load_no_torch():
    code = "import sys; from models.semsim.record import METHOD; import models.semsim; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fewer_labels_are_among_the_more_and_seeds_differ():
    assert labelled_rows(164, 4, 0)[:2].tolist() == labelled_rows(164, 2, 0).tolist()
    assert len({tuple(labelled_rows(164, 4, seed).tolist()) for seed in range(5)}) == 5


def test_no_picture_is_in_two_parts():
    pictures = material(replace(TASKS["cardiac"], side=32, pool=6, tests=6))
    assert not any(torch.equal(a, b) for a in pictures.train.x for b in pictures.test.x)


def test_masks_that_were_not_kept_are_never_read():
    task = replace(TASKS["cardiac"], side=32, network={"windows": 2})
    train = phantom_cases(range(8), 32)
    blind = replace(train, masks=train.masks.clone())
    blind.masks[torch.arange(8) != 3] = 255
    training = replace(task.training, steps=3, labelled_batch=2, unlabelled_batch=2)
    curves = []
    for cases in (train, blind):
        net = build(task.config(ARMS[OWN]), 0)
        curves.append([told.means for told in fit(net, cases, torch.tensor([3]), ARMS[OWN], training, tell_every=1)])
    assert curves[0] == curves[1]


def test_a_run_is_the_same_each_time_whatever_runs_beside_it():
    task = replace(TASKS["cardiac"], side=32, network={"windows": 2})
    train, training = phantom_cases(range(6), 32), replace(task.training, steps=3, labelled_batch=2, unlabelled_batch=2)

    def run(disturb: bool) -> list[float]:
        found = []
        for told in fit(build(task.config(ARMS[OWN]), 3), train, torch.tensor([0]), ARMS[OWN], training, seed=3, tell_every=1):
            found.append(told.means["loss"])
            if disturb:
                torch.rand(7)
        return found

    assert run(False) == run(True)


def test_packed_weights_are_near_and_fit_their_own_network_alone():
    net = build(TASKS["cardiac"].config(ARMS[OWN]), seed=0)
    state, packed = net.state_dict(), pack(net.state_dict())
    for name, value in unpack(packed).items():
        rows = state[name].flatten(1) if value.ndim > 1 else state[name][None]
        assert ((value.view_as(rows) - rows).abs() <= rows.abs().amax(dim=1, keepdim=True) / 127 / 2 + 1e-7).all()
    with pytest.raises(ValueError, match="do not fit the network"):
        lay_in(build(TASKS["cardiac"].config(ARMS[FIXMATCH]), seed=0), packed)


# ---------------------------------------------------------------------- numbers
def test_dice_is_averaged_over_pictures_then_structures():
    dice = np.array([[0.5, np.nan], [0.7, 1.0], [np.nan, np.nan]])
    assert study_report.mean_dice(dice) == pytest.approx((0.6 + 1.0) / 2)


def _cell(arm: str, values: list[float]) -> study_report.Cell:
    """One seed for each value: every picture near it, wobbling the same for every arm."""
    wobble = np.random.default_rng(0).normal(0, 0.02, (40, 3))
    runs = tuple(
        Found(value + wobble, wobble * 0 + 2, wobble * 0 + 1, wobble * 0 + 1, {"step": [1], "loss": [value]}, 1, 164, 1.0, 1)
        for value in values
    )
    return study_report.Cell(TASKS["cardiac"], arm, 1, runs)


def test_a_gain_is_told_by_both_intervals(monkeypatch):
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 50)
    cells = [_cell(OWN, [0.8, 0.81, 0.8]), _cell(FIXMATCH, [0.7, 0.71, 0.69]), _cell(SUPERVISED, [0.4, 0.8, 0.6])]
    found = study_report.gains(cells)
    by = {(one["arm"], one["against"]): one for one in found}
    assert set(by) == {(OWN, FIXMATCH), (OWN, SUPERVISED), (FIXMATCH, SUPERVISED)}
    assert by[OWN, FIXMATCH]["value"] == pytest.approx(0.31 / 3)
    assert study_report.verdict(by[OWN, FIXMATCH]) == "better"
    assert study_report.verdict(by[FIXMATCH, SUPERVISED]) == "no difference shown", "the seeds disagree"
    said = study_report.findings(found, {"cardiac": "Hearts"})
    assert said[0].startswith("Hearts, 1 labelled: Dice of SemSim")
    assert study_report.loses(found, {"cardiac": "Hearts"}) == ()
    worse = study_report.gains([_cell(OWN, [0.6, 0.6, 0.6]), _cell(FIXMATCH, [0.7, 0.7, 0.7])])
    assert study_report.verdict(worse[0]) == "worse"
    assert "FixMatch has the higher Dice by 0.100" in study_report.loses(worse, {"cardiac": "Hearts"})[0]


def test_names_of_numbers():
    metrics = study_report.card_metrics([_cell(OWN, [0.5])])
    assert set(metrics) == {f"cardiac1/{name}" for name in ("dice", "dice_over_seeds", "hd95", "assd", "missed", "shipped_dice")}
    assert metrics["cardiac1/hd95"].unit == "mm"
    assert study_report.metric_name("cardiac", 4, "dice", FIXMATCH) == "cardiac4/dice@fixmatch"


# ---------------------------------------------------------------------- from pictures to card
def test_a_tiny_study_from_pictures_to_card_and_back(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)
    config = {"tasks": {"cardiac": TINY}, "seeds": 2}
    plan = read_plan(config)
    folder = study.work_folder(plan)
    folder.mkdir(parents=True)
    assert len(pending(plan, folder)) == len(plan.runs) == 14
    first = plan.runs[0]
    assert first == RunId("cardiac", OWN, 1, 0)
    again = run_one(plan, first, folder)
    assert again.dice.shape == (12, 3)
    assert set(again.curve) == {"step", *LOGGED}
    assert first not in pending(plan, folder)
    events = list(recipe.train(config))
    result = events[-1]
    card, tensors = result["card"], result["tensors"]
    assert all(event["steps"] == 14 for event in events[:-1])
    assert pending(plan, folder) == []
    expected = {"cardiac1/dice", "cardiac1/dice@semsim_minus", "cardiac2/hd95" if "cardiac2/hd95" in card.metrics else "cardiac2/dice"}
    assert expected <= set(card.metrics)
    assert "cardiac2/dice@semsim_minus" not in card.metrics
    assert card.metrics["cardiac1/dice"].kind == "phantom"
    row = next(one for one in card.extra["table"] if one["arm"] == OWN and one["labelled"] == 1)
    assert {"kept_u", "kept_intra", "kept_cross", "ubar"} <= set(row["curve"])
    assert card.extra["real"] == {}
    recomputed = recipe.evaluate(card, tensors)
    assert set(recomputed) == {name for name in card.metrics if "shipped" in name}
    for name, metric in recomputed.items():
        assert metric.value == pytest.approx(card.metrics[name].value, abs=recipe.tolerance(name))
    path = tmp_path / "made.safetensors"
    save(path, tensors, card)
    predictor = load_predictor("cardiac", OWN, 2, path=path)
    assert predictor.labelled == 2
    monkeypatch.setattr(study, "follow", lambda *_: pytest.fail("a finished run was done again"))
    assert list(recipe.train(config))[-1]["card"].metrics == card.metrics


def test_the_literal_equations_keep_nothing_across_images():
    task = replace(TASKS["cardiac"], side=32, network={"windows": 2})
    train = phantom_cases(range(6), 32)
    training = replace(task.training, steps=5, labelled_batch=2, unlabelled_batch=2, lr=0.1)
    told = list(fit(build(task.config(ARMS["semsim_literal"]), 0), train, torch.tensor([0]), ARMS["semsim_literal"], training))
    assert told[-1].means["kept_cross"] == 0
    assert told[-1].means["cross"] == 0


@pytest.mark.slow
def test_the_quick_preset_runs_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = list(recipe.train(METHOD.preset("quick").config))[-1]
    card = result["card"]
    assert card.recipe == "python -m models train semsim --preset quick"
    assert {f"cardiac4/dice{arm}" for arm in ("", "@fixmatch", "@supervised", "@semsim_literal")} <= set(card.metrics)
    assert card.metrics["cardiac4/dice@supervised"].value > 0.2
    assert card.extra["findings"]


@pytest.mark.slow
@pytest.mark.skipif(not is_here("isic2018"), reason="ISIC 2018 is not here")
def test_real_pictures_are_told_apart_and_their_weights_stay_here(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)
    short = {"steps": 2, "labelled_batch": 2, "unlabelled_batch": 2}
    isic = {"side": 32, "labelled": [0.03], "arms": ["supervised", "semsim"], "training": short}
    result = list(recipe.train({"tasks": {"cardiac": TINY | {"labelled": [1], "ablations": []}, "isic": isic}, "seeds": 1}))[-1]
    card, real = result["card"], result["card"].extra["real"]["isic"]
    assert {use.name for use in card.datasets} == {"cardiac"}
    assert not any(name.startswith("isic") for name in (*card.metrics, *result["tensors"]))
    assert "non-commercial" in real["licence"]
    assert real["ships"] is False
    assert real["n_test"] == 594
    count = round(0.03 * real["n_train"])
    assert {f"isic{count}/dice", f"isic{count}/dice@supervised"} <= set(real["metrics"])
    assert real["metrics"][f"isic{count}/dice"]["kind"] == "real"
    assert real["metrics"][f"isic{count}/dice"]["n"] == 594
    assert not list(tmp_path.rglob("isic*.safetensors"))


def test_fast_measures_are_those_of_the_shared_library():
    task = replace(TASKS["cardiac"], side=32)
    cases = phantom_cases(range(5), 32)
    said = cases.masks.roll((2, -1), (1, 2)).clone()
    said[1] = 0
    said[2][said[2] == 1] = 2
    said[3, 28:, 28:] = 1  # at the border, far away
    mine = study.measure(said, cases, task, spacing=1.5)
    for place in range(3):
        theirs = case_scores(said == place + 1, cases.masks == place + 1, 1.5)
        for name, values in (("dice", theirs.dice), ("hd95", theirs.hd95_mm), ("assd", theirs.assd_mm)):
            values = np.where(theirs.present.numpy(), values.numpy(), np.nan)
            assert np.allclose(mine[name][:, place], values, atol=1e-5, equal_nan=True), name
        assert np.array_equal(mine["found"][:, place], theirs.found.numpy())
