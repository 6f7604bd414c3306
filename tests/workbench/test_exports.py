"""What can be taken away: pictures, tables and records with their stamp, safe in a spreadsheet, and written where only their owner finds them."""

from __future__ import annotations

import csv
import io
import json
import math
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench import exports


def opened(data):
    return Image.open(io.BytesIO(data))


MADE = exports.stamp("promim", checkpoints={"clip": "ab" * 32}, seed=3, device="cpu", seconds=1.23456, ratio=0.5)


def test_a_stamp_says_what_made_it():
    assert {key: MADE[key] for key in ("program", "version", "method", "checkpoints", "seed", "device", "seconds", "settings")} == {
        "program": "Lightbox", "version": "0.1.0", "method": "promim", "checkpoints": {"clip": "ab" * 32}, "seed": 3, "device": "cpu",
        "seconds": 1.235, "settings": {"ratio": 0.5},
    }  # fmt: skip
    assert MADE["made"].endswith("+00:00")
    assert "Research use only" in MADE["note"]


def test_an_overlay_tints_the_inside_and_outlines_it():
    picture, mask = np.full((5, 5), 100, np.uint8), np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    shown = np.asarray(opened(exports.overlay_png(picture, [mask], alpha=0.5, colours=[(200, 0, 100)])))
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[1, 1].tolist() == shown[2, 1].tolist() == shown[3, 3].tolist() == [200, 0, 100]
    assert shown[2, 2].tolist() == [150, 50, 100]
    assert picture.max() == 100  # what was given is not touched


def test_each_mask_has_its_own_colour_and_colour_pictures_stay_colour():
    picture = np.zeros((2, 4, 3), np.uint8)
    picture[..., 2] = 9
    left, right = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    left[:, :1], right[:, 3:] = True, True
    shown = np.asarray(opened(exports.overlay_png(picture, [left, right])))
    assert [tuple(shown[0, x].tolist()) for x in (0, 1, 3)] == [(230, 159, 0), (0, 0, 9), (86, 180, 233)]


def test_an_overlay_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"own size"):
        exports.overlay_png(np.zeros((4, 4), np.uint8), [np.zeros((4, 5), bool)])


@pytest.mark.parametrize(
    ("mask", "pixels"),
    [
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[0, 3, 255]]), [[0, 3, 255]]),
        (np.array([[0, 256, 65535]]), [[0, 256, 65535]]),
    ],
)
def test_a_mask_is_written_as_it_is(mask, pixels):
    assert np.asarray(opened(exports.mask_png(mask))).tolist() == pixels


@pytest.mark.parametrize("mask", [np.array([[-1]]), np.array([[65536]]), np.zeros((2, 2)), np.zeros((2, 2, 3), bool)])
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(ValueError, match="whole numbers from 0 to 65,535"):
        exports.mask_png(mask)


def test_pictures_carry_their_stamp():
    data = exports.mask_png(np.ones((2, 2), bool), stamp=MADE)
    assert json.loads(opened(data).text["Lightbox"]) == MADE


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =cmd|' /C calc'!A0"])
def test_cells_that_start_a_formula_are_made_text(cell):
    (head, row) = csv.reader(io.StringIO(exports.csv_bytes([cell], [[cell]]).decode(), newline=""))
    assert head == row == [f"'{cell}"]


def test_numbers_stay_numbers_and_text_stays_text():
    rows = [[-1.5, np.float32(0.25), np.int64(-3), math.nan, None, True, 'a "b", c', "−5", "δ"]]
    assert exports.csv_bytes(["x"], rows).decode() == 'x\r\n-1.5,0.25,-3,,,True,"a ""b"", c",−5,δ\r\n'


def test_json_holds_values_and_stamp_and_no_odd_numbers():
    values = {"p": np.array([0.25, np.nan], np.float32), "n": np.int32(4), "at": (1, 2), "deep": {"x": math.inf}, "path": Path("a")}
    assert json.loads(exports.json_bytes(values, stamp=MADE)) == {
        "p": [0.25, None], "n": 4, "at": [1, 2], "deep": {"x": None}, "path": "a", "made_by": MADE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kept"), [("lesion.png", "lesion.png"), ("../../etc/passwd", "etc-passwd"), ("…", "result"), ("", "result"), (".env", "env")]
)
def test_files_lie_under_gradios_folder_in_a_folder_of_their_own(tmp_path, monkeypatch, name, kept):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first, second = Path(exports.save(name, b"1")), Path(exports.save(name, b"2"))
    assert (first.name, first.read_bytes(), second.read_bytes()) == (kept, b"1", b"2")
    assert first.parent != second.parent
    assert first.parent.parent == second.parent.parent == tmp_path
    assert len(first.parent.name) == 40
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
