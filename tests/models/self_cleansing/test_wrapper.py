"""What the screen calls: predictor, label microscope, epoch slider, review, live training."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.self_cleansing import insight, live, review
from models.self_cleansing.casebook import load_cases
from models.self_cleansing.plan import DEFAULT, Cleansing
from models.self_cleansing.results import OptionRefused, Options, ranking
from models.self_cleansing.wrapper import load_predictor, shipped
from models.shared.checkpoints import CheckpointRefused

SMALL = {"pictures": 16, "tests": 4, "epochs": 3, "warmup": 1, "batch": 8}


# ---------------------------------------------------------------------- predictor
def test_a_picture_is_read_once_and_outlined_at_its_own_size(tiny, picture):
    *_, path = tiny
    predictor = load_predictor(path=path)
    assert predictor is load_predictor("liver", DEFAULT, "cleansed", path=path)
    assert predictor is not load_predictor("liver", DEFAULT, "cleansed", "teacher", path=path)
    prepared = predictor.prepare(picture)
    assert prepared is predictor.prepare(picture.copy())
    assert prepared.probability.shape == (3, 32, 32)
    result = predictor.run(prepared)
    assert result.mask.shape == picture.shape
    assert result.probability.sum(axis=0) == pytest.approx(np.ones(picture.shape), abs=1e-5)
    assert result.pixels == {name: int((result.mask == number).sum()) for number, name in enumerate(("tumour", "cyst"), 1)}
    assert not predictor.run(prepared, Options(at_least_px=10**6)).mask.any()
    assert not predictor.run(prepared, Options(threshold=0.9999)).mask.any()
    colour = predictor.prepare(np.repeat(picture[..., None], 3, axis=2) / np.float32(255))
    assert colour.picture.dtype == np.uint8


def test_what_cannot_be_answered_is_refused_in_a_sentence(tiny, picture, tmp_path):
    *_, path = tiny
    for arguments in (("liver", DEFAULT, "magic"), ("liver", "fog-50", "noisy"), ("skin", "", "")):
        with pytest.raises(OptionRefused, match="holds no network"):
            load_predictor(*arguments, path=path)
    with pytest.raises(OptionRefused, match="the checkpoint holds best, last"):
        load_predictor("liver", DEFAULT, "noisy", "teacher", path=path)
    with pytest.raises(CheckpointRefused, match="is not here"):
        load_predictor(path=tmp_path / "none.safetensors")
    predictor = load_predictor(path=path)
    for bad in (np.zeros((3, 4, 5, 6)), np.full((20, 20), np.nan)):
        with pytest.raises(OptionRefused):
            predictor.prepare(bad)
    with pytest.raises(OptionRefused, match="threshold"):
        Options(threshold=1.0)
    assert set(shipped(path)) == {"liver"}


# ---------------------------------------------------------------------- label microscope
def test_a_training_case_shows_everything_between_label_and_cleansed_label(tiny):
    *_, path = tiny
    book = load_cases("liver", DEFAULT, "cleansed", path=path)
    assert len(book) == 16
    index = int(np.flatnonzero(book.planted.corrupted)[0])
    case = book.case(index)
    assert case.planted in ("erosion", "missing")
    assert (case.given != case.truth).any()
    assert case.probability.shape == (3, 32, 32)
    assert case.w.min() >= 0
    assert case.w.max() <= 1
    assert np.array_equal(case.provenance == 1, case.cleansed != case.given)
    assert np.array_equal(case.right, case.cleansed == case.truth)
    assert np.array_equal(case.prediction, case.probability.argmax(axis=0))
    given = np.take_along_axis(case.probability, case.given[None].astype(int), axis=0)[0]
    assert case.loss == pytest.approx(-np.log(np.clip(given, 1e-7, None)), abs=1e-5)
    eager = book.case(index, Cleansing(gate="pixel", kappa=0.34))
    assert (eager.provenance == 1).sum() >= (case.provenance == 1).sum()
    with pytest.raises(OptionRefused, match="numbered from 0"):
        book.case(16)
    with pytest.raises(OptionRefused, match="kept no prototypes"):
        book.case(0, Cleansing(evidence="both"))


def test_prototypes_ship_with_the_arm_that_uses_them(tiny):
    *_, path = tiny
    case = load_cases("liver", DEFAULT, "both_evidences", path=path).case(0, Cleansing(gate="pixel", evidence="prototypes"))
    assert case.kappa.min() >= 1 / 3 - 1e-6


def test_training_pictures_are_ranked_by_suspicion(tiny):
    *_, path = tiny
    book = load_cases("liver", DEFAULT, "noisy", path=path)
    ranked = book.ranked()
    assert sorted(one.index for one in ranked) == list(range(16))
    assert all(a.noisy >= b.noisy - 1e-6 for a, b in pairwise(ranked))
    assert [book.planted.corrupted[one.index] for one in ranked] == [one.corrupted for one in ranked]
    with pytest.raises(OptionRefused, match="holds no network"):
        load_cases("liver", "swapped-30", path=path)
    assert [one.index for one in ranking(np.array([0.5, 0.5, 1]), np.array([0.1, 0.2, 0]), np.zeros(3))] == [2, 1, 0]


def test_the_epoch_slider_reads_histograms_and_gaussians_off_the_card(tiny):
    _, _, card, _ = tiny
    found = insight.epochs(card.extra, "liver", DEFAULT, "cleansed")
    assert [one["epoch"] for one in found] == [1, 2, 3]
    level = insight.level(found[-1])
    assert level.right.sum() + level.wrong.sum() == level.n
    assert len(level.edges) == len(level.right) + 1
    if len(level.gaussians):  # together they hold about as much as the histogram
        assert level.gaussians.sum() / 8 == pytest.approx(level.n, rel=0.6)
    assert insight.level(found[-1], 0).n > 0
    curves = insight.curves(found)
    assert curves["test"].shape == (3,)
    every = insight.at_threshold(found[-1]["pictures"], -1.0)
    assert every["recall"] == 1
    with pytest.raises(OptionRefused, match="keeps no epochs"):
        insight.epochs(card.extra, "liver", "swapped-30", "noisy")


# ---------------------------------------------------------------------- review and live training
def test_decisions_go_back_into_the_labels():
    given, proposed = np.zeros((3, 4, 4), np.uint8), np.ones((3, 4, 4), np.uint8)
    mine = np.full((4, 4), 2, np.uint8)
    decide = review.Decision
    labels = review.apply(given, proposed, [decide(0, "accept"), decide(1, "accept"), decide(1, "reject"), decide(2, "edit", mine)], 2)
    assert [int(label.max()) for label in labels] == [1, 0, 2]
    assert not given.any()
    for bad, words in (
        (decide(3, "accept"), "none with the number 3"),
        (decide(0, "edit", mine + 1), "from 0 to 2"),
        (decide(0, "burn"), "not 'burn'"),
    ):
        with pytest.raises(OptionRefused, match=words):
            review.apply(given, proposed, [bad], 2)


def test_a_live_training_shows_each_epoch_and_takes_corrected_labels_back():
    config = live.read_config(SMALL | {"kind": "missing", "evidence": "both"})
    told = list(live.live(config, cases=(0, 3)))
    epochs = [one for one in told if isinstance(one, live.Epoch)]
    assert [one.epoch for one in epochs] == [1, 2, 3]
    assert sum(isinstance(one, live.Step) for one in told) == 6
    last = epochs[-1]
    assert last.pictures.n == 16
    assert len(last.pixels) == 3
    assert len(last.ranked) == 16
    assert [case.index for case in last.cases] == [0, 3]
    assert 0 <= last.test_dice <= 1
    assert last.proposed.shape == (16, 64, 64)
    made = live.material(config)
    labels = review.apply(made.planted.labels, made.truth, [review.Decision(i, "accept") for i in range(16)], 2)
    repaired = next(one for one in live.live(config, labels) if isinstance(one, live.Epoch))
    assert repaired.dice_before == 1
    assert not any(one.corrupted for one in repaired.ranked)


def test_a_live_training_stops_before_the_next_step_when_closed(monkeypatch):
    steps = []
    config = live.read_config(SMALL)
    going = live.live(config)
    monkeypatch.setattr("models.self_cleansing.training.training_loss", lambda *a: steps.append(1) or _loss(*a))
    next(going)
    going.close()
    assert len(steps) == 1


def _loss(logits, _labels):
    return logits.mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"kind": "fog"}, "kind"), ({"warmup": 3}, "leaves none"), ({"alpha": 2}, "alpha"), ({"colour": 1}, "colour")],
)
def test_live_trainings_that_cannot_start_are_refused(change, words):
    with pytest.raises(OptionRefused, match=words):
        live.read_config(SMALL | change)


def test_painted_labels_that_do_not_fit_are_refused():
    config = live.read_config(SMALL)
    with pytest.raises(OptionRefused, match="masks of the shape"):
        next(live.live(config, np.zeros((3, 64, 64), np.uint8)))
    with pytest.raises(OptionRefused, match="numbers from 0 to 2"):
        next(live.live(config, np.full((16, 64, 64), 9, np.uint8)))
    with pytest.raises(OptionRefused, match="numbered from 0"):
        next(live.live(config, cases=(99,)))
