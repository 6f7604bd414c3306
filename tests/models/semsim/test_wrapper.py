"""The wrapper on an untrained checkpoint: every intermediate has its shape and meaning, and what cannot be is refused in a sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.semsim import inside
from models.semsim.results import OptionRefused, Options
from models.semsim.wrapper import load_predictor, shipped


@pytest.fixture
def predictor(checkpoint):
    return load_predictor("cardiac", "semsim", 2, path=checkpoint)


def test_what_the_checkpoint_holds(checkpoint):
    facts = shipped(checkpoint)["cardiac"]
    assert list(facts["levels"]) == ["l1", "l2"]
    assert facts["levels"]["l1"]["labelled"] == 1
    assert set(facts["levels"]["l2"]["arms"]) == {"semsim", "supervised", "semsim_minus"}
    assert load_predictor(path=checkpoint).labelled == 1
    assert load_predictor(path=checkpoint) is load_predictor("cardiac", "semsim", 1, path=checkpoint)
    for task, arm, labelled in (("brain", "semsim", 1), ("cardiac", "magic", 1), ("cardiac", "semsim", 9)):
        with pytest.raises(OptionRefused, match="holds no network"):
            load_predictor(task, arm, labelled, path=checkpoint)


def test_a_picture_is_read_once(predictor, picture):
    one = predictor.prepare(picture)
    assert predictor.prepare(picture.copy()) is one
    assert predictor.prepare(picture[:, ::-1]) is not one
    assert one.logits.shape == (4, 64, 64)
    assert one.features.shape == (32, 16, 16)
    assert one.seen.shape == (64, 64)
    assert (one.features >= 0).all()


@pytest.mark.parametrize("shape", [(64, 64), (90, 140), (40, 33, 3), (200, 64)])
def test_any_picture_has_an_answer_of_its_own_size(predictor, shape):
    prepared = predictor.prepare(np.random.default_rng(1).random(shape))
    result = predictor.run(prepared)
    assert result.mask.shape == shape[:2]
    assert result.probability.shape == (4, *shape[:2])
    assert np.allclose(result.probability.sum(0), 1, atol=1e-5)
    assert prepared.picture.dtype == np.uint8


def test_three_pseudo_labels_with_masks_and_shares(predictor, picture):
    result = predictor.run(predictor.prepare(picture), Options(tau=0.5))
    assert [one.name for one in result.pseudo] == ["p_w", "p1_w", "p2_w"]
    for one, side in zip(result.pseudo, (64, 16, 16), strict=True):
        assert one.probability.shape == (4, side, side)
        assert np.array_equal(one.labels, one.probability.argmax(0))
        assert np.array_equal(one.kept, one.confidence >= 0.5)
        assert one.kept_fraction == pytest.approx(one.kept.mean())
    assert result.agreement.shape == (16, 16)
    assert 0 <= result.agreement.min() <= result.agreement.max() <= 1
    assert result.rectified.before.shape == result.rectified.after.shape == (16, 16)
    assert np.array_equal(result.rectified.changed, result.rectified.before != result.rectified.after)
    assert all(one.kept_fraction == 0 for one in predictor.run(predictor.prepare(picture), Options(tau=1.5)).pseudo)


def test_the_literal_query_says_its_bound_and_keeps_nothing(predictor, picture):
    literal = predictor.run(predictor.prepare(picture), Options(t_cr=1.0)).pseudo[2]
    assert literal.bound == pytest.approx(math.e / (math.e + 3))
    assert literal.confidence.max() <= literal.bound + 1e-6
    assert literal.kept_fraction == 0


def test_a_row_of_the_affinity(predictor, picture):
    prepared = predictor.prepare(picture)
    row = predictor.affinity(prepared, (45, 139), 0.1)
    assert row.row.shape == (16, 16)
    assert row.row.sum() == pytest.approx(1, abs=1e-5)
    assert row.pixel == (8, 15)
    assert row.row.argmax() == 8 * 16 + 15
    assert sum(row.by_class) == pytest.approx(1, abs=1e-5)
    assert row.entropy < predictor.affinity(prepared, (45, 139), 1.0).entropy <= 1
    for place in ((-1, 0), (90, 0), (0, 140)):
        with pytest.raises(OptionRefused, match="no place"):
            predictor.affinity(prepared, place)


def test_similarity_bars_and_board_tell_the_same_story(predictor, picture):
    prepared, options = predictor.prepare(picture), Options(cells=4)
    board = predictor.board(4)
    assert board.pictures.shape == board.masks.shape == (2, 64, 64)
    assert board.local.shape == (2, 4, 4, 4)
    assert board.present.all(), "every slice shows every structure"
    said = predictor.similarity(prepared, (5, 5), options)
    assert said.cell == (0, 0)
    assert said.values.shape == (2, 4)
    assert np.array_equal(said.fell_back, ~board.local[:, 0, 0])
    result = predictor.run(prepared, options)
    assert said.probability == pytest.approx(result.pseudo[2].probability[:, said.pixel[0], said.pixel[1]], abs=1e-6)
    assert said.agreement == pytest.approx(float(result.agreement[said.pixel]), abs=1e-6)
    assert board.local[:, :, :, 0].any()
    assert not predictor.board(16).local[..., 1].all()
    with pytest.raises(OptionRefused, match="cannot be cut into 3 cells"):
        predictor.board(3)


def test_features_in_two_directions(predictor, picture):
    found = predictor.scatter(predictor.prepare(picture), limit=300)
    assert found.points.shape == (len(found.classes), 2)
    assert len(found.points) <= 300
    assert found.labelled.any()
    assert not found.labelled.all()
    assert 0 <= found.explained[1] <= found.explained[0] <= 1
    assert all(0 <= gap <= 1 for gap in found.gaps.values())
    assert set(found.classes[found.labelled].tolist()) == {0, 1, 2, 3}


def test_gap_of_the_same_cloud_is_0_and_of_far_ones_1():
    random = np.random.default_rng(0)
    cloud = random.normal(size=(60, 2))
    assert inside.density_gap(cloud, cloud) == 0
    assert inside.density_gap(cloud, cloud + 50) > 0.95
    assert inside.density_gap(cloud[:3], cloud) is None
    line = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
    assert inside.density_gap(line, line) is None


def test_holes_and_islands_are_counted():
    labels = np.zeros((16, 16), np.uint8)
    labels[2:9, 2:9] = 1
    labels[4, 4] = 0
    labels[12, 12] = 1
    labels[12:14, 3] = 2
    assert inside.counted(labels, 3) == (1, 3)


def test_a_training_without_the_module_answers_but_has_no_inside(checkpoint, picture):
    plain = load_predictor("cardiac", "supervised", 1, path=checkpoint)
    assert not plain.looks_inside
    prepared = plain.prepare(picture)
    result = plain.run(prepared)
    assert [one.name for one in result.pseudo] == ["p_w"]
    assert result.rectified is None
    assert result.agreement is None
    for ask in (lambda: plain.affinity(prepared, (1, 1)), lambda: plain.board(), lambda: plain.scatter(prepared)):
        with pytest.raises(OptionRefused, match="without the fusion module"):
            ask()
    assert load_predictor("cardiac", "semsim_minus", 1, path=checkpoint).looks_inside


@pytest.mark.parametrize("change", [{"tau": -1}, {"t_aff": 0}, {"t_cr": 1e9}, {"cells": 0}, {"mode": "magic"}, {"sharpness": -1}])
def test_options_that_cannot_be_are_refused(change):
    with pytest.raises(OptionRefused):
        Options(**change)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 2)), np.zeros((0, 3)), np.full((8, 8), np.nan), np.full((8, 8), 7.0), np.zeros((8, 8), np.int32)]
)
def test_pixels_that_cannot_be_used_are_refused(predictor, bad):
    with pytest.raises(OptionRefused, match="expected grey or colour"):
        predictor.prepare(bad)
