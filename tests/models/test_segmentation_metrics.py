"""Dice, IoU, HD95 and ASSD against numbers worked out by hand, and the conventions for empty masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.shared import segmentation_metrics as sm


def box(top: int, left: int, bottom: int, right: int, *, side: int = 32) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


NOTHING = np.zeros((32, 32), dtype=bool)


def test_overlap_of_two_boxes():
    # 8×8 against the same box 4 columns on: 32 pixels in common, 96 in either
    one, two = box(8, 8, 16, 16)[None], box(8, 12, 16, 20)[None]
    assert sm.dice(one, two).tolist() == pytest.approx([2 * 32 / 128])
    assert sm.iou(one, two).tolist() == pytest.approx([32 / 96])
    assert sm.dice(one, two).dtype == torch.float64


@pytest.mark.parametrize(("spacing", "expected"), [(1.0, 4.0), (0.5, 2.0), ([3.0, 0.25], 1.0)])
def test_distance_of_two_shifted_lines_in_millimetres(spacing, expected):
    # two upright lines, 4 columns apart: every point of one is 4 columns from the other; rows do not matter
    one, two = box(4, 8, 20, 9)[None], box(4, 12, 20, 13)[None]
    assert sm.hd95_mm(one, two, spacing).tolist() == pytest.approx([expected])
    assert sm.assd_mm(one, two, spacing).tolist() == pytest.approx([expected])


def test_every_picture_may_have_its_own_spacing():
    one, two = np.stack([box(4, 8, 20, 9)] * 2), np.stack([box(4, 12, 20, 13)] * 2)
    assert sm.assd_mm(one, two, [[1.0, 1.0], [1.0, 0.1]]).tolist() == pytest.approx([4.0, 0.4])


def test_distances_equal_a_slow_count_over_outline_points():
    random = np.random.default_rng(0)
    one, two = (np.zeros((24, 24), dtype=bool) for _ in range(2))
    yy, xx = np.mgrid[:24, :24]
    one |= (yy - 11) ** 2 + (xx - 10) ** 2 < 40
    two |= ((yy - 12) / 1.4) ** 2 + (xx - 13) ** 2 < 25
    two |= (random.random((24, 24)) < 0.02) & (yy > 20)  # reaches the picture's edge

    def outline(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return np.argwhere(mask & ~inner) * np.array([0.7, 0.3])

    apart = np.linalg.norm(outline(one)[:, None] - outline(two)[None], axis=-1)
    there, back = apart.min(axis=1), apart.min(axis=0)
    got = sm.case_scores(one[None], two[None], [0.7, 0.3])
    assert got.hd95_mm.item() == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)
    assert got.assd_mm.item() == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-5)


def test_conventions_for_empty_masks():
    predicted = np.stack([NOTHING, NOTHING, box(2, 2, 6, 6), box(2, 2, 6, 6)])
    truth = np.stack([NOTHING, box(2, 2, 6, 6), NOTHING, box(2, 2, 6, 6)])
    got = sm.case_scores(predicted, truth, 0.5)
    assert got.dice.tolist() == [1, 0, 0, 1]
    assert got.iou.tolist() == [1, 0, 0, 1]
    assert got.hd95_mm.isnan().tolist() == [True, True, True, False]
    assert got.assd_mm[3].item() == 0
    assert (got.present.tolist(), got.found.tolist()) == ([False, True, False, True], [False, False, True, True])


def test_summary_tells_missed_and_false_alarms_apart_from_the_means():
    predicted = np.stack([NOTHING, NOTHING, box(2, 2, 6, 6), box(2, 2, 6, 6)])
    truth = np.stack([NOTHING, box(2, 2, 6, 6), NOTHING, box(2, 2, 6, 6)])
    found = sm.summary(sm.case_scores(predicted, truth, 0.5), kind="phantom")
    assert (found["dice"].value, found["dice"].n, found["dice"].kind) == (0.5, 2, "phantom")
    assert (found["dice_all"].value, found["dice_all"].n) == (0.5, 4)
    assert (found["missed"].value, found["missed"].n) == (0.5, 2)
    assert (found["false_alarm"].value, found["false_alarm"].n) == (0.5, 2)
    assert (found["hd95"].value, found["hd95"].n, found["hd95"].unit) == (0, 1, "mm")
    nothing_there = sm.summary(sm.case_scores(NOTHING[None], NOTHING[None]))
    assert set(nothing_there) == {"dice_all", "false_alarm"}


def test_paired_difference_leaves_out_what_one_cannot_score():
    ours, theirs = torch.tensor([0.9, 0.8, torch.nan, 0.7]), torch.tensor([0.8, 0.7, 0.5, torch.nan])
    found = sm.difference(ours, theirs)
    assert found.n == 2
    assert found.value == pytest.approx(0.1, abs=1e-6)
    assert found.interval.startswith("bootstrap")
    with pytest.raises(ValueError, match="same pictures"):
        sm.difference(ours, theirs[:2])


def test_the_interval_of_a_mean_narrows_with_the_pictures():
    few, many = (sm.mean(torch.linspace(0, 1, n)) for n in (40, 4000))
    assert few.high - few.low == pytest.approx(3.92 * (1 / 12 / 40) ** 0.5, rel=0.2)
    assert many.high - many.low < (few.high - few.low) / 5


@pytest.mark.parametrize(
    ("predicted", "truth", "spacing", "words"),
    [
        (NOTHING[None], NOTHING, 1.0, "picture by picture"),
        (NOTHING[None], np.stack([NOTHING] * 2), 1.0, "picture by picture"),
        (np.full((1, 32, 32), 0.4), NOTHING[None], 1.0, "threshold the probabilities"),
        (NOTHING[None], NOTHING[None], 0.0, "one positive number of mm"),
        (NOTHING[None], NOTHING[None], [1.0, 1.0, 1.0], "one positive number of mm"),
    ],
)
def test_refusals(predicted, truth, spacing, words):
    with pytest.raises(ValueError, match=words):
        sm.case_scores(predicted, truth, spacing)


def test_a_volume_is_measured_in_three_axes():
    one, two = np.zeros((1, 8, 8, 8), bool), np.zeros((1, 8, 8, 8), bool)
    one[0, 2], two[0, 5] = True, True  # two planes, 3 slices apart
    assert sm.hd95_mm(one, two, [2.0, 1.0, 1.0]).tolist() == pytest.approx([6.0])
