"""Masks between the page and Python: run lengths written out by hand, and what is refused of what a browser can send."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.parts.prompt_canvas import heat, outline, prompt_canvas, refusal, segments
from workbench.parts.segments import MarksRefused, Segment, decode, encode, read

CORNER = np.array([[1, 1, 0], [1, 0, 0]], bool)
STRIPE = np.array([[0, 1, 0], [0, 1, 1]], bool)


def sent(**changes):
    segment = {
        "id": 1,
        "name": "Segment 1",
        "runs": [1, 1, 2, 2],
        "on": True,
        "origin": "click",
        "iou": 0.9,
        "points": [[1, 0, 1]],
        "box": None,
    }
    return {"picture": "p", "size": [2, 3], "asked": 4, "active": 1, "segments": [segment | changes]}


@pytest.mark.parametrize(
    ("mask", "runs"),
    [(CORNER, [0, 2, 1, 1, 2]), (STRIPE, [1, 1, 2, 2]), (np.zeros((2, 3), bool), [6]), (np.ones((2, 3), bool), [0, 6])],
)
def test_run_lengths_start_outside_and_follow_the_rows(mask, runs):
    assert encode(mask) == runs
    assert (decode(runs, 2, 3) == mask).all()


@pytest.mark.parametrize("runs", [[5], [7], [-1, 7], [1.5, 4.5], ["6"], [1] * 99, [[6]], []])
def test_run_lengths_that_do_not_fill_the_picture_are_refused(runs):
    with pytest.raises(MarksRefused, match="does not fit the picture"):
        decode(runs, 2, 3)


def test_what_the_page_sends_is_read():
    marks = read(sent())
    assert (marks.picture, marks.height, marks.width, marks.asked) == ("p", 2, 3, 4)
    segment = marks.segment(marks.active)
    assert (segment.points, segment.box, segment.iou, segment.origin) == (((1.0, 0.0, 1),), None, 0.9, "click")
    assert (marks.region == STRIPE).all()


def test_segments_counted_out_or_not_yet_outlined_or_empty_do_not_count():
    for changes in ({"on": False}, {"runs": None}, {"runs": [6]}):
        marks = read(sent(**changes))
        assert marks.chosen == ()
        assert not marks.region.any()
    assert read({}).chosen == ()


@pytest.mark.parametrize(
    "value",
    [
        {"size": [2, 3]},
        [1, 2],
        "text",
        sent() | {"size": [2, "x"]},
        sent() | {"segments": 5},
        sent() | {"segments": [None]},
        sent() | {"active": "first"},
        sent(points=[[float("nan"), 0, 1]]),
        sent(box=[1, 2, float("inf"), 3]),
        sent(id=1e400),
    ],
)
def test_other_things_a_browser_can_send_are_refused_in_a_sentence(value):
    with pytest.raises(MarksRefused, match=r"could not be read; reload the page\.$"):
        read(value)


def test_too_much_is_refused():
    with pytest.raises(MarksRefused, match="65 segments are more than the 64"):
        read(sent() | {"segments": sent()["segments"] * 65})
    with pytest.raises(MarksRefused, match="larger than this server works on"):
        read(sent() | {"size": [50_000, 50_000]})
    with pytest.raises(MarksRefused, match="up to 64 clicks"):
        read(sent(points=[[1, 0, 1]] * 65))


def test_an_answer_carries_its_question_and_the_best_outline_first():
    answer = outline(read(sent()), np.stack([CORNER, STRIPE]), [0.25, 0.75], stability=[None, 0.5])
    assert answer == {
        "asked": 4,
        "segment": 1,
        "found": [{"runs": [1, 1, 2, 2], "iou": 0.75, "stability": 0.5}, {"runs": [0, 2, 1, 1, 2], "iou": 0.25, "stability": None}],
    }
    assert refusal(read(sent()), "No.") == {"asked": 4, "segment": 1, "found": [], "refused": "No."}


def test_the_same_segments_given_twice_are_told_apart():
    found = [Segment(0, "A", CORNER, iou=1 / 3)]
    first, second = segments(found, replace=True), segments(found, replace=True)
    assert first["gift"] != second["gift"]
    assert first["segments"][0]["runs"] == [0, 2, 1, 1, 2]
    assert first["segments"][0]["iou"] == 0.3333


def test_heat_is_scaled_to_its_largest_value_and_flat_heat_stays_flat():
    assert heat(np.array([[0.0, 2.0], [1.0, 4.0]]), (0, 0, 8, 8), "x")["values"] == [0, 0.5, 0.25, 1]
    assert heat(np.zeros((1, 2)), (0, 0, 8, 8), "x")["values"] == [0, 0]


def test_an_unknown_tool_is_refused():
    with pytest.raises(ValueError, match="'lasso' is no tool of the canvas"):
        prompt_canvas(elem_id="x", label="x", tools=["lasso"])
