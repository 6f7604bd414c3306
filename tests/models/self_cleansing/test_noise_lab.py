"""The noise lab's job: events, painted labels, files that can be looked at afterwards, and what is refused."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from models.self_cleansing import insight, noise_lab
from models.self_cleansing.live import read_config
from models.self_cleansing.results import OptionRefused

SMALL = {"kind": "missing", "alpha": 0.4, "pictures": 24, "tests": 4, "epochs": 3, "warmup": 1}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(events, folder) of a short run with one painted label."""
    out = tmp_path_factory.mktemp("lab")
    painted = np.zeros((64, 64), np.uint8)
    painted[10:30, 10:30] = 2
    config = SMALL | {"labels": {"5": noise_lab.pack_label(painted)}, "device": "cpu"}
    return list(noise_lab.run(config, SimpleNamespace(out=out, stopping=False))), out, painted


def test_a_run_tells_every_epoch_as_json_and_leaves_its_pictures(done):
    events, out, painted = done
    assert [one["kind"] for one in events if one["kind"] != "step"] == ["meta", *["epoch"] * 3, "result"]
    json.dumps(events)
    meta, last = events[0], events[-2]
    assert "1 labels painted" in meta["note"]
    assert last["cleansing"]
    assert [one["noisy"] for one in last["ranked"]] == sorted((one["noisy"] for one in last["ranked"]), reverse=True)
    level = insight.as_level(last["pictures"])
    assert level.right.sum() + level.wrong.sum() == 24
    cases = noise_lab.read_cases(out / "cases.npz")
    assert len(cases) == 24
    assert cases.first == last["ranked"][0]["index"]
    case = cases.case(5)
    assert np.array_equal(case.given, painted)
    assert case.right.dtype == bool
    assert np.array_equal(case.right, case.cleansed == case.truth)
    assert np.array_equal(cases.proposed[5], case.cleansed)
    rows = list(csv.reader((out / "suspects.csv").open()))
    assert len(rows) == 25
    assert [row[0] for row in csv.reader((out / "epochs.csv").open())] == ["epoch", "1", "2", "3"]
    with pytest.raises(OptionRefused, match="none with the number 24"):
        cases.case(24)


def test_a_run_stops_when_asked(tmp_path):
    inbox = SimpleNamespace(out=tmp_path, stopping=True)
    events = list(noise_lab.run(SMALL, inbox))
    assert [one["kind"] for one in events] == ["meta", "result"]
    assert events[-1]["stopped"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"99": "x"}}, "none with the number 99"),
        ({"labels": {"-1": "x"}}, "none with the number -1"),
        ({"labels": {"0": "not base 64!"}}, "A painted label"),
        ({"labels": {"0": noise_lab.pack_label(np.full((64, 64), 9))}}, "numbers from 0 to 2"),
        ({"labels": {"0": noise_lab.pack_label(np.zeros((640, 640)))}}, "A painted label"),
        ({"kind": "fog"}, "cannot be started"),
        ({"warmup": 3}, "leaves none"),
    ],
)
def test_what_cannot_be_run_is_refused_before_the_first_event(change, words, tmp_path):
    with pytest.raises(OptionRefused, match=words):
        next(noise_lab.run(SMALL | change, SimpleNamespace(out=tmp_path, stopping=False)))


def test_a_broken_file_is_a_sentence(tmp_path):
    (tmp_path / "cases.npz").write_bytes(b"nothing")
    with pytest.raises(OptionRefused, match="cannot be read"):
        noise_lab.read_cases(tmp_path / "cases.npz")


def test_the_preview_shows_what_a_run_would_take():
    made, labels = noise_lab.preview(read_config(SMALL), {"3": noise_lab.pack_label(np.ones((64, 64)))})
    assert (labels[3] == 1).all()
    assert np.array_equal(np.delete(labels, 3, 0), np.delete(made.planted.labels, 3, 0))
