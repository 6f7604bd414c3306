"""Measures and intervals against numbers worked out by hand or in tables."""

from __future__ import annotations

import pytest
import torch

from models.shared import metrics


def test_wilson_interval_of_eight_in_ten():
    # (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964
    low, high = metrics.wilson(8, 10)
    assert low == pytest.approx(0.490162, abs=1e-6)
    assert high == pytest.approx(0.943318, abs=1e-6)


def test_accuracy_from_scores_and_from_answers():
    scores = torch.tensor([[3.0, 1.0], [0.2, 0.9], [5.0, 4.0], [0.0, 1.0]])
    y = torch.tensor([0, 1, 1, 1])
    for outputs in (scores, scores.argmax(1)):
        metric = metrics.accuracy(outputs, y)
        assert metric.value == 0.75
        assert metric.n == 4
        assert metric.interval == "Wilson"
        assert metric.low == pytest.approx(0.300642, abs=1e-5)
        assert metric.high == pytest.approx(0.954413, abs=1e-5)


def test_all_right_in_one_class_only():
    metric = metrics.accuracy(torch.zeros(5, dtype=torch.long), torch.zeros(5, dtype=torch.long))
    assert (metric.value, metric.high) == (1.0, 1.0)


@pytest.mark.parametrize("shift", [(1.0, 0.0), (100.0, -7.0)], ids=["as is", "far outside 0 to 1"])
def test_auroc_counts_pairs_in_order(shift):
    # of the four (positive, negative) pairs three are in order: 3/4
    scores = torch.tensor([0.1, 0.4, 0.35, 0.8]) * shift[0] + shift[1]
    metric = metrics.auroc(scores, torch.tensor([0, 0, 1, 1]))
    assert metric.value == pytest.approx(0.75)
    assert 0 <= metric.low <= 0.75 <= metric.high <= 1


def test_auroc_counts_ties_by_half():
    assert metrics.auroc(torch.tensor([0.5, 0.5, 0.9]), torch.tensor([0, 1, 1])).value == pytest.approx(0.75)


def test_auroc_needs_every_class():
    with pytest.raises(ValueError, match="needs cases of all 2 classes"):
        metrics.auroc(torch.tensor([0.1, 0.2]), torch.tensor([1, 1]))


def test_macro_f1_weighs_the_classes_alike():
    # class 0: tp 3 fp 1 fn 0 -> 6/7; class 1: tp 0 fp 0 fn 1 -> 0
    metric = metrics.macro_f1(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]), classes=2)
    assert metric.value == pytest.approx(3 / 7)


def test_bootstrap_is_the_same_each_time_and_shrinks_with_cases():
    few = torch.arange(40) % 2
    wide = metrics.bootstrap(lambda outputs, y: outputs.mean(), torch.linspace(0, 1, 40), few)
    assert wide == metrics.bootstrap(lambda outputs, y: outputs.mean(), torch.linspace(0, 1, 40), few)
    narrow = metrics.bootstrap(lambda outputs, y: outputs.mean(), torch.linspace(0, 1, 4000), torch.arange(4000) % 2)
    # the standard error of a mean of n uniform values is sqrt(1/12n), the interval 3.92 times as wide
    assert wide.high - wide.low == pytest.approx(3.92 * (1 / 12 / 40) ** 0.5, rel=0.15)
    assert narrow.high - narrow.low == pytest.approx(3.92 * (1 / 12 / 4000) ** 0.5, rel=0.15)


def test_t_interval_over_five_seeds():
    # mean 3, standard error sqrt(2.5/5) = 0.707107, t(0.975, 4) = 2.776445
    metric = metrics.over_seeds([1, 2, 3, 4, 5], unit="steps")
    assert (metric.value, metric.n, metric.unit, metric.interval) == (3.0, 5, "steps", "t over 5 seeds")
    assert metric.high - metric.value == pytest.approx(1.963243, abs=1e-6)
    assert metric.value - metric.low == pytest.approx(1.963243, abs=1e-6)


def test_the_interval_of_a_share_stays_between_0_and_1():
    assert metrics.over_seeds([0.9, 1.0, 1.0]).high > 1
    cut = metrics.over_seeds([0.9, 1.0, 1.0], share=True)
    assert cut.high == 1
    assert cut.low == metrics.over_seeds([0.9, 1.0, 1.0]).low


def test_one_run_has_no_interval_and_none_no_mean():
    metric = metrics.over_seeds([0.5])
    assert (metric.low, metric.high, metric.interval) == (0.5, 0.5, "none, one run")
    with pytest.raises(ValueError, match="at least one run"):
        metrics.over_seeds([])


def test_answers_and_cases_must_match():
    with pytest.raises(ValueError, match="got 2 answers for 3 cases"):
        metrics.accuracy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))
