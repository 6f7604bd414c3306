"""What the charts and the patch grid send to the browser and take from it; how they look and answer is tested in the browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from workbench.parts.charts import (
    Box,
    Gauge,
    Group,
    Heat,
    Mark,
    Point,
    Series,
    bars_data,
    boxes_data,
    gauges_data,
    heats_data,
    scatter_data,
)
from workbench.parts.patch_grid import Mask, patch_grid, picture, read_mask


def test_bars_carry_one_value_for_each_class_with_five_digits_and_names_as_they_are():
    made = bars_data(["cyst", "<b>`${mass}"], [Series("CLIP", 6, np.float32([1 / 3, 2 / 3]), "by hand")], title="t", truth=1, seq=7)
    assert made == {
        "title": "t", "about": "", "empty": "", "classes": ["cyst", "<b>`${mass}"], "truth": 1, "digest": "", "seq": 7,
        "series": [{"label": "CLIP", "colour": 6, "note": "by hand", "values": [0.33333, 0.66667]}],
    }  # fmt: skip
    assert "seq" not in bars_data([], [])


def test_a_series_that_does_not_fit_its_classes_is_a_sentence():
    with pytest.raises(ValueError, match=r"^CoOp has 3 values for 2 classes; give one for each\.$"):
        bars_data(["a", "b"], [Series("CoOp", 0, [0.1, 0.2, 0.7])])


def test_boxes_gauges_and_points_are_plain_json():
    boxes = boxes_data([Box("cyst", np.float32([0.25, 0.5]), 4, [Mark("CoCoOp", 0.123456789, 2)])], values_title="one mask")
    assert boxes["rows"] == [
        {
            "label": "cyst",
            "colour": 4,
            "values": [0.25, 0.5],
            "marks": [{"label": "CoCoOp", "value": 0.12346, "colour": 2, "shape": "diamond"}],
        }
    ]
    scales = gauges_data([Gauge("drift", np.float64(0.5), 0, 2, text="half")])
    assert (scales["items"][0]["value"], scales["items"][0]["high"], scales["items"][0]["text"]) == (0.5, 2, "half")
    plane = scatter_data([Group("hand-written", 6, "square")], [Point(np.float32(0.5), 1, 0, "cyst", "1")], links=[(0, 0)], keys=["1 cyst"])
    assert plane["points"] == [{"x": 0.5, "y": 1.0, "series": 0, "name": "cyst", "tag": "1"}]
    assert (plane["links"], plane["names"]) == ([[0, 0]], ["1 cyst"])
    json.dumps([boxes, scales, plane], allow_nan=False)


def test_a_row_without_values_is_a_sentence():
    with pytest.raises(ValueError, match="has no values; leave it out"):
        boxes_data([Box("cyst", [])])


def test_heat_travels_in_steps_of_its_own_top_and_an_empty_map_stays_empty():
    made = heats_data("data:,", "phantom", [Heat("CoCoOp", np.array([[0.0, 1.0], [2.0, 4.0]])), Heat("none", np.zeros((1, 2)))])
    full, none = made["panels"]
    assert (full["rows"], full["columns"], full["top"]) == (2, 2, 4.0)
    assert list(base64.b64decode(full["bytes"])) == [0, 64, 128, 255]
    assert (list(base64.b64decode(none["bytes"])), none["top"]) == ([0, 0], 0.0)


def test_the_grid_starts_with_a_share_and_without_a_picture():
    grid = patch_grid(label="Patches", file="lightbox", ratio=0.5, elem_id="grid")
    assert grid.props["mask"] == {"ratio": 0.5, "n": 0}
    assert grid.props["picture"] == {}


def test_the_picture_is_moved_so_that_the_grid_lies_on_what_the_network_sees():
    whole = picture(id="p", url="data:,", rows=8, columns=7, alt="a scan", size=(40, 80))
    assert whole == {"id": "p", "url": "data:,", "place": [0, 0, 1, 1], "seen": "", "rows": 8, "columns": 7, "alt": "a scan"}
    padded = picture(id="p", url="", rows=8, columns=8, alt="", size=(40, 80), box=(-20, 0, 60, 80))
    assert padded["place"] == [0, 0.25, 1, 0.5]  # black above and below
    cropped = picture(id="p", url="", rows=8, columns=8, alt="", size=(40, 80), box=(0, 20, 40, 60))
    assert cropped["place"] == [-0.5, 0, 2, 1]  # left and right stand out


def test_a_mask_is_read_in_rising_order_each_patch_once():
    assert read_mask({"picture": "p", "keep": [5, 0, 5, 63], "seq": 3}, 64) == Mask("p", (0, 5, 63), "random", 3)
    assert read_mask({"picture": "p", "keep": [], "way": "block", "seq": 0}, 64) == Mask("p", (), "block", 0)


@pytest.mark.parametrize("value", [None, "", {}, {"keep": [1]}, [1, 2]])
def test_no_picture_means_no_mask(value):
    assert read_mask(value, 64) is None


@pytest.mark.parametrize("keep", [[64], [-1, 3], [1.0], ["1"], [True], None, "12"])
def test_a_mask_no_grid_could_have_sent_is_a_sentence(keep):
    with pytest.raises(ValueError, match="A mask"):
        read_mask({"picture": "p", "keep": keep, "seq": 1}, 64)
