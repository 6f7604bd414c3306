"""The studies: data, plan, packing, one tiny study from pictures to card, and the numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multilabel_auroc

from models.resformer_mtl import oct, recipe, study_data, study_report
from models.resformer_mtl.plan import ARMS, TASKS, PlanRefused, Training, read_plan
from models.resformer_mtl.record import METHOD
from models.resformer_mtl.study import Found, Study
from models.resformer_mtl.training import Rows, build, fit
from models.resformer_mtl.weights import arm_facts
from models.resformer_mtl.wrapper import load_predictor
from models.shared.checkpoints import save
from models.shared.packing import lay_in, pack, unpack

TINY = {"oct": {"arms": ["full", "seg_only", "cls_only"], "side": 64, "pool": 8, "tests": 24, "training": {"steps": 3, "batch": 4}}}


# ---------------------------------------------------------------------- pictures
def test_oct_phantoms_follow_their_seed_and_say_what_they_hold():
    one, again, other = oct.sample(5, 64), oct.sample(5, 64), oct.sample(6, 64)
    assert np.array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)
    assert one.image.dtype == np.float32
    assert 0 <= one.image.min() < one.image.max() <= 1
    everything = oct.sample(5, 128, size=1.0, want=(True, True, True))
    assert everything.labels.tolist() == [1, 1, 1]
    nothing = oct.sample(5, 128, want=(False, False, False))
    assert not nothing.mask.any()
    shares = np.mean([oct.sample(seed, 64).labels for seed in range(80)], axis=0)
    assert (abs(shares - 0.5) < 0.2).all()
    with pytest.raises(ValueError, match="32 to 1024"):
        oct.sample(0, 16)


def test_fluid_is_darker_than_the_tissue_around_it():
    from scipy.ndimage import binary_dilation

    for structure in (0, 1):
        inside, around = [], []
        for seed in range(12):
            scan = oct.sample(seed, 128, size=1.0, want=tuple(k == structure for k in range(3)))
            mask = scan.mask == structure + 1
            inside.append(scan.image[mask].mean())
            around.append(scan.image[binary_dilation(mask, iterations=4) & ~mask].mean())
        assert np.mean(inside) < 0.5 * np.mean(around)


def test_seeds_of_a_phantom_task_share_no_training_picture_and_one_test():
    task = replace(TASKS["breast"], side=64, pool=4, tests=8)
    one, other = study_data.material(task, 0), study_data.material(task, 1)
    assert not any(torch.equal(a, b) for a in one.train.x for b in other.train.x)
    assert torch.equal(one.test.x, other.test.x)
    assert torch.equal(one.test.x, study_data.test_cases(task).x)
    assert one.spacing_mm == (0.75, 0.75)
    assert study_data.spacing_of(TASKS["oct"]) == (2 / 128, 6 / 128)
    assert one.train.labels.sum(dim=1).eq(1).all()


def test_class_weights_are_those_of_the_paper_for_its_own_counts():
    # ISIC 2017: 374 melanomas, 254 seborrheic keratoses, 1,372 naevi
    labels = torch.cat([torch.eye(3)[k].repeat(n, 1) for k, n in enumerate((374, 254, 1372))]).long()
    cases = study_data.Cases(torch.zeros(2000, 1), torch.zeros(2000, 1, 1), labels, torch.ones(2000, dtype=torch.bool))
    made = study_data.Material(cases, cases, cases, None, False, "", "")
    assert made.class_weights().tolist() == pytest.approx([1.78, 2.62, 0.49], abs=5e-3)
    assert replace(made, derived=True).class_weights() is None


def test_half_of_every_batch_has_a_mask_where_few_have():
    has_mask = torch.zeros(50, dtype=torch.bool)
    has_mask[:5] = True
    rows = Rows(has_mask, Training(batch=8, masked_share=0.5), seed=0)
    drawn = [rows.draw() for _ in range(25)]
    assert all(has_mask[one[:4]].all() for one in drawn)
    assert sorted(torch.cat([one[:4] for one in drawn])[:100].tolist()) == sorted(list(range(5)) * 20)
    assert set(torch.cat([one[4:] for one in drawn]).tolist()) == set(range(50))
    everywhere = Rows(torch.ones(50, dtype=torch.bool), Training(batch=8, masked_share=0.5), seed=0)
    assert len(set(torch.cat([everywhere.draw() for _ in range(6)]).tolist())) == 48


def test_a_run_is_the_same_each_time_whatever_runs_beside_it():
    task = replace(TASKS["oct"], side=64, pool=8, training=Training(steps=2, batch=4))
    train = study_data.material(replace(task, tests=4)).train

    def run(disturb: bool) -> list[float]:
        net = build(task, ARMS["full"], seed=3)
        losses = []
        for step in fit(net, train, task.training, alpha=0.25, derived=True, seed=3):
            losses.append(step.loss)
            if disturb:
                torch.rand(7)
        return losses

    assert run(False) == run(True)


# ---------------------------------------------------------------------- plan and packing
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"tasks": ["retouch"]}, "no study called 'retouch'"),
        ({"tasks": []}, "at least one study"),
        ({"seeds": 0}, "1 to 20 seeds"),
        ({"speed": 1}, "no setting called speed"),
        ({"tasks": {"oct": {"arms": ["magic"]}}}, "arms of a study are some of"),
        ({"tasks": {"oct": {"training": {"colour": 1}}}}, "has the settings"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(config, words):
    with pytest.raises(PlanRefused, match=words):
        read_plan(config)


def test_every_ablation_and_twin_is_in_the_shipped_plan():
    plan = read_plan(METHOD.preset("embedded").config)
    oct_task, busi = plan.tasks
    assert set(oct_task.arms) == set(ARMS) - {"alpha_01"}
    assert set(busi.arms) == {"full", "seg_only", "cls_only", "unet"}
    assert len(plan.seeds) == 3
    weights = sum(arm_facts(task, ARMS[arm])["parameters"] for task in plan.tasks for arm in task.arms)
    assert weights < 9_000_000, "a byte each, and a checkpoint stays below ten megabytes"


def test_listing_the_room_would_load_no_torch():
    code = "import sys; from models.resformer_mtl.record import METHOD; import models.resformer_mtl; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_packed_weights_are_near_and_small_and_fit_their_own_network_alone():
    net = build(TASKS["oct"], ARMS["full"], seed=0)
    state, packed = net.state_dict(), pack(net.state_dict())
    back = unpack(packed)
    for name, value in back.items():
        rows = state[name].flatten(1) if value.ndim > 1 else state[name][None]
        half_step = rows.abs().amax(dim=1, keepdim=True) / 127 / 2 + 1e-7
        assert ((value.view_as(rows) - rows).abs() <= half_step).all()
    assert sum(t.numel() * t.element_size() for t in packed.values()) < 0.32 * sum(4 * t.numel() for t in state.values())
    again = pack(back)
    assert all(torch.equal(again[name], packed[name]) for name in packed if name.endswith("#codes"))
    other = build(TASKS["oct"], ARMS["no_dfe"], seed=0)
    with pytest.raises(ValueError, match="do not fit the network"):
        lay_in(other, packed)


# ---------------------------------------------------------------------- numbers
def test_the_area_under_the_curve_by_ranks_is_torchmetrics():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (60, 3))
    scores = np.round(random.random((2, 60, 3)) * 0.6 + 0.4 * labels, 1)  # with ties
    expected = np.mean([multilabel_auroc(torch.from_numpy(one), torch.from_numpy(labels), num_labels=3) for one in scores])
    assert study_report.macro_auroc(scores, labels) == pytest.approx(expected, abs=1e-6)


def test_dice_is_averaged_over_pictures_then_structures():
    dice = np.array([[0.5, np.nan], [0.7, 1.0], [np.nan, np.nan]])
    assert study_report.mean_dice(dice) == pytest.approx((0.6 + 1.0) / 2)


def test_rates_accuracy_and_reliability_by_hand():
    labels = np.array([[1, 0, 0], [0, 1, 0]])
    scores = np.array([[[0.9, 0.2, 0.6], [0.55, 0.45, 0.1]]])
    assert study_report.rates(scores, labels) == (0.5, 0.5)
    assert study_report.right(scores[0], labels, exclusive=True).tolist() == [1, 0]
    assert study_report.right(scores[0], labels, exclusive=False).tolist() == pytest.approx([2 / 3, 1 / 3])
    bins = study_report.reliability(scores, labels)
    assert sum(one["n"] for one in bins) == 6
    assert next(one for one in bins if one["low"] == 0.9) == {"low": 0.9, "high": 1.0, "n": 1, "score": 0.9, "true": 1.0}
    sure = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert study_report.calibration_error(sure, torch.tensor([[1, 0], [0, 1]])) == 0
    assert study_report.calibration_error(sure, torch.tensor([[0, 1], [1, 0]])) == 1


def test_a_gain_is_told_by_its_interval():
    task = TASKS["oct"]
    n, labels = 40, np.random.default_rng(1).integers(0, 2, (40, 3))
    cases = study_data.Cases(torch.zeros(n, 1), torch.zeros(n, 1, 1), torch.from_numpy(labels), torch.ones(n, dtype=torch.bool))

    def cell(arm: str, dice: float, sharp: float) -> study_report.Cell:
        noise = np.random.default_rng(2).random((n, 3))
        scores = sharp * labels + (1 - sharp) * noise
        table = np.full((n, 3), dice)
        return study_report.Cell(task, arm, (Found(table, table, table, table * 0 + 1, scores, 1.0, 1),), cases)

    found = study_report.gains([cell("full", 0.8, 0.9), cell("seg_only", 0.7, 0), cell("cls_only", 0, 0.2)])
    by = {(one["against"], one["measure"]): one for one in found}
    assert set(by) == {("seg_only", "dice"), ("cls_only", "auroc")}
    assert by["seg_only", "dice"]["value"] == pytest.approx(0.1)
    assert [study_report.verdict(one) for one in found] == ["better", "better"]
    (sentence,) = study_report.findings(found, {"oct": "OCT"})
    assert "beat each alone? Yes" in sentence
    assert study_report.loses(found, {"oct": "OCT"}) == ()
    worse = study_report.gains([cell("full", 0.6, 0.5), cell("unet", 0.7, 0.5)])
    assert study_report.verdict(worse[0]) == "worse"
    assert "has the higher Dice by 0.100" in study_report.loses(worse, {"oct": "OCT"})[0]


# ---------------------------------------------------------------------- from pictures to card
def test_a_tiny_study_from_pictures_to_card_and_back(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)
    config = {"tasks": TINY, "seeds": 2}
    events = list(recipe.train(config))
    result = events[-1]
    card, tensors = result["card"], result["tensors"]
    assert all(event["steps"] == 6 for event in events[:-1])
    expected = {"oct/dice", "oct/auroc", "oct/ece", "oct/dice@seg_only", "oct/auroc@cls_only", "oct/agreement", "oct/shipped_dice"}
    assert expected <= set(card.metrics)
    assert not {"oct/auroc@seg_only", "oct/dice@cls_only"} & set(card.metrics)
    assert card.metrics["oct/dice"].kind == "phantom"
    assert card.extra["gains"]
    assert len(card.extra["findings"]) == 1
    again = recipe.evaluate(card, tensors)
    assert set(again) == {name for name in card.metrics if "shipped" in name}
    for name, metric in again.items():
        assert metric.value == pytest.approx(card.metrics[name].value, abs=recipe.tolerance(name))
    path = tmp_path / "made.safetensors"
    save(path, tensors, card)
    predictor = load_predictor("oct", "full", path=path)
    assert predictor.side == 64
    monkeypatch.setattr(Study, "_run", lambda *_: pytest.fail("a finished run was done again"))
    assert list(recipe.train(config))[-1]["card"].metrics == card.metrics


def test_without_distances_the_rest_is_the_same():
    import numpy as np
    import torch

    from models.resformer_mtl.plan import TASKS
    from models.resformer_mtl.study import measure
    from models.resformer_mtl.study_data import phantom_cases
    from models.resformer_mtl.training import Answers
    from models.shared.data.phantoms import split_seeds

    cases = phantom_cases(TASKS["oct"], split_seeds("test", 12))
    said = Answers(torch.where(torch.rand(cases.masks.shape) < 0.2, 0, cases.masks).to(torch.uint8), cases.labels.float())
    whole, short = (measure(said, cases, TASKS["oct"], distances=all_of) for all_of in (True, False))
    for name in ("dice", "found", "scores"):
        assert np.array_equal(getattr(whole, name), getattr(short, name), equal_nan=True), name
    assert np.isnan(short.hd95).all()
    assert not np.isnan(whole.hd95).all()
