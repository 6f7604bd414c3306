"""Segments without a prompt, on random weights: order, enlarged masks, stopping, settings."""

from __future__ import annotations

import numpy as np
import pytest


def test_automatic_segments_are_whole_records_in_order(sam):
    picture = np.zeros((60, 600), np.uint8)  # longer than the canvas
    picture[20:40, 100:300] = 200
    steps = []
    found = sam.automatic(
        picture, points_per_side=9, score_threshold=0, stability_threshold=0, overlap_threshold=1, progress=lambda *s: steps.append(s)
    )
    assert steps == [(64, 81), (81, 81)]
    assert len(found) > 1
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)
    for one in found:
        assert one.mask.shape == (60, 600)
        assert one.area == one.mask.sum() > 0
        ys, xs = np.nonzero(one.mask)
        assert one.box == (xs.min(), ys.min(), xs.max(), ys.max())
        assert 0 <= one.point[0] < 600
        assert 0 <= one.point[1] < 60
    best_first = sam.automatic(picture, points_per_side=3, score_threshold=0, stability_threshold=0, overlap_threshold=1, sort="score")
    assert [one.score for one in best_first] == sorted((one.score for one in best_first), reverse=True)


def test_automatic_with_nothing_good_enough_is_an_empty_list(sam, picture):
    assert sam.automatic(picture, points_per_side=3, score_threshold=1.0) == []
    assert sam.automatic(picture, points_per_side=3, score_threshold=0, stability_threshold=0, min_area=2401) == []


def test_automatic_can_be_stopped(sam, picture):
    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sam.automatic(picture, points_per_side=2, progress=stop)


@pytest.mark.parametrize(
    "setting", [{"points_per_side": 0}, {"points_per_side": 65}, {"score_threshold": 2}, {"stability_threshold": -1}, {"sort": "name"}]
)
def test_automatic_settings_out_of_range_are_said(sam, picture, setting):
    with pytest.raises(ValueError, match=r"take 1 to 64|between 0 and 1|area or score"):
        sam.automatic(picture, **setting)
