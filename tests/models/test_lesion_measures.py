"""Areas and diameters against shapes whose measures are known."""

from __future__ import annotations

import numpy as np
import pytest

from models.shared.lesion_measures import measure


def test_a_rectangle_with_oblong_pixels():
    mask = np.zeros((40, 40), bool)
    mask[10:16, 4:12] = True  # 6 rows of 0.5 mm, 8 columns of 0.25 mm: 3 mm by 2 mm
    (one,) = measure(mask, (0.5, 0.25))
    assert one.area == pytest.approx(6.0)
    assert one.longest == pytest.approx(np.hypot(3, 2))
    assert one.across == pytest.approx(2 * 3 * 2 / np.hypot(3, 2))  # both other corners, one on each side of the diagonal
    assert one.equivalent == pytest.approx(2 * np.sqrt(6 / np.pi))
    assert one.centre == (13.0, 8.0)
    assert one.unit == "mm"
    assert {one.ends[0], one.ends[1]} in ({(10.0, 4.0), (16.0, 12.0)}, {(16.0, 4.0), (10.0, 12.0)})


def test_a_disc_is_as_long_as_wide():
    y, x = np.mgrid[:201, :201]
    (one,) = measure((y - 100) ** 2 + (x - 100) ** 2 <= 80**2, (0.1, 0.1))
    assert one.longest == pytest.approx(16.1, abs=0.1)
    assert one.across == pytest.approx(16.1, abs=0.1)
    assert one.area == pytest.approx(np.pi * 8**2, rel=0.01)


def test_without_a_spacing_everything_is_in_pixels():
    mask = np.zeros((8, 8), bool)
    mask[2, 3] = True
    (one,) = measure(mask)
    assert (one.pixels, one.area, one.unit) == (1, 1.0, "px")
    assert one.longest == pytest.approx(np.sqrt(2))


def test_lesions_come_largest_first_and_small_ones_can_be_left_out():
    mask = np.zeros((30, 30), bool)
    mask[1:4, 1:4], mask[10:20, 10:20], mask[20, 20], mask[28, 28] = True, True, True, True
    found = measure(mask, structure=2)
    assert [one.pixels for one in found] == [101, 9, 1]  # the touching corner belongs to the large one
    assert {one.structure for one in found} == {2}
    assert len(measure(mask, at_least_px=9)) == 2
    assert measure(np.zeros((5, 5), bool)) == ()


def test_a_spacing_that_is_none_is_refused():
    with pytest.raises(ValueError, match="two positive numbers"):
        measure(np.ones((3, 3), bool), (0.0, 1.0))
