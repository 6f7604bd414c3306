"""Panels of what a network saw: masks in the network's square, maps in bytes, shares of attention, all worked out by hand here."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from workbench.parts.look_panels import Panel, in_square, look_data
from workbench.parts.segments import decode


def panel(**changes):
    attention = np.zeros((1, 2, 2, 2), np.float32)
    attention[0, 0] = [[0.4, 0.0], [0.0, 0.4]]
    attention[0, 1] = [[0.0, 0.2], [0.0, 0.0]]
    made = {
        "id": "plain", "label": "Plain", "colour": 0, "seen": np.zeros((4, 4, 3), np.uint8), "attention": attention,
        "rollout": np.array([[0.5, 0.0], [0.0, 0.25]], np.float32), "mass": np.array([[0.5, 1.0]], np.float32), "rollout_mass": 0.75, "answer": "cat 50 %",
    }  # fmt: skip
    return Panel(**made | changes)


SHARE = np.array([[1.0, 1.0], [0.0, 0.0]], np.float32)


def test_a_wide_mask_lies_in_the_middle_of_a_square_that_reaches_beyond_it():
    mask = np.ones((2, 4), bool)
    assert in_square(mask, (-1, 0, 3, 4), 4).tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]


def test_a_square_that_cuts_the_middle_out_shows_the_middle():
    mask = np.array([[1, 0, 0, 1], [1, 0, 0, 1]], bool)
    assert not in_square(mask, (0, 1, 2, 3), 2).any()


def test_maps_travel_as_bytes_of_their_own_top_heads_then_mean_then_rollout():
    data = look_data([panel()], region=np.ones((4, 4), bool), share=SHARE)
    (made,) = data["panels"]
    steps = np.frombuffer(base64.b64decode(made["maps"]), np.uint8).reshape(4, 2, 2)
    assert made["tops"] == [0.4, 0.2, 0.2, 0.5]
    assert steps.tolist() == [[[255, 0], [0, 255]], [[0, 255], [0, 0]], [[255, 128], [0, 255]], [[255, 0], [0, 128]]]
    assert made["mass"] == [0.5, 1.0, 0.6, 0.75]  # of the mean: (0.2 + 0.1) of 0.5
    assert (data["layers"], data["heads"], data["grid"], data["even"]) == (1, 2, [2, 2], 0.5)
    assert decode(data["region"], 4, 4).all()


def test_without_a_region_or_in_a_frame_of_its_own_no_share_is_told():
    assert look_data([panel()], region=None, share=SHARE)["panels"][0]["mass"] is None
    cut = panel(mass=np.full((1, 2), np.nan, np.float32))
    assert look_data([cut], region=np.ones((4, 4), bool), share=SHARE)["panels"][0]["mass"] is None


def test_the_whole_picture_is_placed_where_the_square_lies_on_it():
    data = look_data([panel(full=np.zeros((2, 4, 3), np.uint8), seen_box=(-1, 0, 3, 4))], region=None, share=SHARE)
    assert data["panels"][0]["rect"] == pytest.approx([0, 0.25, 1, 0.5])
    assert data["panels"][0]["full"].startswith("data:image/jpeg;base64,")


def test_nothing_to_show_is_a_sentence():
    assert look_data([], region=None, share=SHARE, empty="Soon.") == {"panels": [], "empty": "Soon."}
