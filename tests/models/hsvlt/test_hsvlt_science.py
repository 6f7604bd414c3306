"""HSVLT: the spec's oracles, its pictures, its label vectors and measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from models.hsvlt import recipe, study
from models.hsvlt.checks import LAWS, TINY, lively
from models.hsvlt.config import Config, ConfigRefused, from_json
from models.hsvlt.findings import BUCKETS, FINDINGS, WORDS, sample
from models.hsvlt.labels import label_vectors
from models.hsvlt.metrics import average_precision, average_precisions, rates
from models.hsvlt.network import HSVLT
from models.hsvlt.plan import ARMS, TASKS, PlanRefused, read_plan
from models.hsvlt.pretraining import crops, lay_trunk
from models.hsvlt.record import METHOD
from models.hsvlt.study_data import parts
from models.hsvlt.training import build
from models.shared.data import DataNotHere


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law):
    assert law.measure() <= law.tolerance


def test_pictures_repeat_and_a_finding_more_moves_nothing_else():
    assert np.array_equal(sample(3).image, sample(3).image)
    for seed in range(12):
        alone, both = sample(seed, findings=["cavity"], noise=0), sample(seed, findings=["cavity", "small nodule"], noise=0)
        assert np.array_equal(alone.masks[3], both.masks[3])
        quiet = ~binary_dilation(both.masks[2], iterations=4)  # what lies a few pixels from the second finding is as it was
        assert np.allclose(alone.image[quiet], both.image[quiet], atol=1e-3)


def test_every_finding_is_drawn_where_its_mask_says_and_changes_the_picture():
    for seed in range(8):
        nothing = sample(seed, findings=[], noise=0)
        assert not any(nothing.present)
        for number, name in enumerate(FINDINGS):
            one = sample(seed, findings=[name], noise=0)
            assert one.names == (name,)
            assert one.masks[number].any()
            assert not np.delete(one.masks, number, axis=0).any()
            assert np.abs(one.image - nothing.image)[one.masks[number]].max() > 0.05


def test_findings_keep_company_and_grow_with_their_size():
    many = [sample(seed) for seed in range(400)]
    present = np.array([one.present for one in many])
    assert (present.sum(1) <= 5).all()
    fluid = present[:, 6]
    assert present[fluid, 7].mean() > present[~fluid, 7].mean() + 0.15
    areas = [sample(5, 96, findings=["small nodule"], size=size).masks[2].sum() for size in (0.5, 1.0, 2.0)]
    assert areas == sorted(areas)
    assert {name for names in BUCKETS.values() for name in names} == set(FINDINGS) == set(WORDS)
    with pytest.raises(ValueError, match="no finding"):
        sample(0, findings=["toothache"])
    with pytest.raises(ValueError, match=r"0\.4 to 2\.5"):
        sample(0, size=9)


def test_label_vectors_of_every_kind_have_one_length():
    for kind in ("clip", "ngram", "random"):
        vectors = label_vectors(FINDINGS, kind)
        assert vectors.shape == (8, 192)
        assert vectors.is_contiguous()  # else no file of weights can hold them
        assert torch.allclose(vectors.norm(dim=1), torch.full((8,), vectors.shape[1] ** 0.5), atol=1e-4)
    random = label_vectors(FINDINGS, "random")
    assert torch.allclose(random @ random.T / 192, torch.eye(8), atol=1e-5)
    near = torch.nn.functional.normalize(label_vectors(["large mass", "large masses", "band"], "ngram"), dim=1)
    assert float(near[0] @ near[1]) > float(near[0] @ near[2])


def test_rates_at_a_threshold_and_among_the_top():
    scores = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.8]])
    y = np.array([[True, False, False], [False, True, True]])
    found = rates(scores, y)
    assert found.precision.tolist() == [1.0, 0.5, 1.0]
    assert found.recall.tolist() == [1.0, 1.0, 1.0]
    assert found.of1 == pytest.approx(2 * 0.75 / 1.75)
    assert rates(scores, y, top=1).recall.tolist() == [1.0, 0.0, 1.0]
    assert rates(scores, y, np.array([0.95, 0.5, 0.5])).recall[0] == 0


def test_settings_go_to_json_and_back_and_bad_ones_are_refused():
    assert from_json(TINY.as_json()) == TINY
    for bad in ({"stages": (5,)}, {"depths": (1,)}, {"fusion": "sum"}, {"heads": 3}):
        with pytest.raises(ConfigRefused):
            Config(**bad)


def test_a_silenced_stage_takes_its_share_away_and_gradients_reach_every_number():
    net = lively()
    image, vectors = torch.rand(1, 1, 32, 32), torch.randn(5, 12)
    whole, without = net(image, vectors), net(image, vectors, silent=(2,))
    assert torch.allclose(whole.logits - whole.contributions[..., 1], without.logits, atol=1e-4)
    fresh = HSVLT(Config(labels=5, text_width=12))
    fresh(torch.rand(2, 1, 64, 64), vectors).logits.square().sum().backward()
    silent = [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.any()]
    # the last block's gate shapes labels that nobody reads any more
    assert all("stages.3.0.interaction.gate" in name for name in silent), silent
    # a start too narrow for the width once left gradients that AdamW (ε 1e-8) does not see, and nothing was learned
    felt = fresh.stages[0][0].interaction.key.weight.grad.square().mean().sqrt()
    assert felt > 1e-5


def test_redrawable_average_precision_is_scikit_learns_where_no_scores_are_equal():
    random = np.random.default_rng(3)
    scores, y = random.random((60, 4)), random.random((60, 4)) < 0.3
    assert np.allclose(average_precisions(scores, y), [average_precision(scores[:, k], y[:, k]) for k in range(4)])


@pytest.mark.slow
def test_the_quick_preset_trains_and_its_card_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    quick = METHOD.preset("quick").config
    *told, last = recipe.train(quick)
    assert told
    again = recipe.evaluate(last["card"], last["tensors"])
    assert set(again) == {name for name in last["card"].metrics if "shipped" in name}
    assert all(abs(value.value - last["card"].metrics[name].value) < 1e-3 for name, value in again.items())
    assert study.pending(read_plan(quick)) == []
    assert last["card"].metrics["findings/map"].value > last["card"].metrics["findings/map_over_seeds"].low - 1


def test_plans_are_read_and_wrong_ones_refused():
    plan = read_plan({})
    assert [task.id for task in plan.tasks] == ["findings", "brain", "busi"]
    assert plan.runs[0].arm == "full"
    for preset in METHOD.presets:
        assert read_plan(preset.config).runs[0].task == "findings"
    assert len(plan.runs) == 3 * (len(ARMS) + 2 + 2)
    for bad in (
        {"colour": 1},
        {"tasks": ["brain"]},
        {"tasks": {"findings": {"labels": []}}},
        {"tasks": {"findings": {"arms": ["nobody"]}}},
    ):
        with pytest.raises(PlanRefused):
            read_plan(bad)


def test_real_classes_become_labels_of_their_own():
    try:
        train, test = parts(read_plan({}).task("busi"), 0)
    except DataNotHere:
        pytest.skip("BUSI is not on this machine")
    assert train.y.shape[1] == 2
    assert 0 < test.y.float().mean() < 1
    assert (train.y.sum(1) <= 1).all()


# ---------------------------------------------------------------------- the trunk's first lesson
def test_crops_show_what_fills_them_and_some_show_nothing():
    x, y = crops(0, 12)
    assert x.dtype == torch.uint8
    assert x.shape[1:] == (1, 32, 32)
    assert y.shape == (len(x), len(FINDINGS))
    assert y.any(0).sum() >= 5
    assert (y.sum(1) == 0).any()


def test_all_arms_of_a_seed_begin_with_the_same_trunk_and_nothing_else_is_touched():
    task = replace(TASKS["findings"], pretrain=2, crops_from=6)
    nets = {}
    for arm in ("full", "stage_4"):
        nets[arm] = build(task.config(ARMS[arm], 8), 0)
        before = {name: value.clone() for name, value in nets[arm].state_dict().items()}
        lay_trunk(nets[arm], task, 0)
        for name, value in nets[arm].state_dict().items():
            trunk = name.startswith("down.") or ".visual." in name
            assert trunk or torch.equal(value, before[name])
    one, other = (net.state_dict() for net in nets.values())
    same = [name for name in one if name.startswith("down.") or ".visual." in name]
    assert same
    assert all(torch.equal(one[name], other[name]) for name in same)
    assert not torch.equal(one["down.0.0.weight"], build(task.config(ARMS["full"], 8), 0).state_dict()["down.0.0.weight"])
