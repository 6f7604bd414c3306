"""The heat map over η and ρ: every cell once, from the middle, on validation rows."""

from __future__ import annotations

import csv
import json

import pytest

from models.shared.data import load
from models.sofim.race_config import ConfigRefused
from models.sofim.sensitivity import order, read, sweep

SMALL = {"task": "breast_cancer_mlp", "size": 5, "steps": 8, "device": "cpu"}


class Box:
    def __init__(self, out, stop_after=10**9):
        self.out, self.looks, self.stop_after = out, 0, stop_after

    @property
    def stopping(self):
        self.looks += 1
        return self.looks > self.stop_after

    def poll(self):
        return []


def test_every_cell_is_filled_once_and_the_middle_first(tmp_path):
    events = list(sweep(SMALL | {"lr": [0.01, 1e4], "rho": [0.001, 10.0]}, Box(tmp_path)))
    json.dumps(events, allow_nan=False)
    meta, *cells, result = events
    assert meta["measured_rows"] == len(load("breast_cancer").validation.y)
    assert meta["rhos"] == [0.001, 0.01, 0.1, 1.0, 10.0]
    assert (cells[0]["i"], cells[0]["j"]) == (2, 2)
    assert {(cell["i"], cell["j"]) for cell in cells} == {(i, j) for i in range(5) for j in range(5)}
    for cell in cells:
        assert (cell["lr"], cell["rho"]) == (meta["lrs"][cell["j"]], meta["rhos"][cell["i"]])
        assert (cell["loss"] is None) == cell["diverged"]
    blown = {(cell["i"], cell["j"]) for cell in cells if cell["diverged"]}
    assert (0, 4) in blown  # η = 10,000 with ρ = 0.001
    assert (4, 0) not in blown
    assert result == {"kind": "result", "stopped": False, "files": {"cells": "cells.csv"}}
    with (tmp_path / "cells.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 25


def test_a_stop_within_a_cell_keeps_the_cells_before_it(tmp_path):
    events = list(sweep(SMALL, Box(tmp_path, stop_after=20)))
    assert [event["kind"] for event in events] == ["meta", "cell", "cell", "result"]
    assert events[-1]["stopped"]


def test_the_middle_comes_first_and_corners_last():
    assert order(5)[0] == (2, 2)
    assert set(order(5)[-4:]) == {(0, 0), (0, 4), (4, 0), (4, 4)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": None}, "There is no task called 'None'"),
        ({"arm": "adam"}, "The heat map needs an optimiser with η, ρ and β"),
        ({"size": 4}, "Cells on a side must lie between 5 and 9"),
        ({"lr": [1, 0.1]}, "The range of lr must go from low to high"),
        ({"rho": [0, 1]}, "rho of SOFIM must be above 0"),
        ({"rho": 3}, "The range of rho must be two numbers"),
        ({"beta": 1.0}, "beta of SOFIM must be at least 0 and below 1"),
        ({"rows": 3}, "A heat map has no setting called 'rows'"),
    ],
)
def test_a_map_that_cannot_be_drawn_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(ConfigRefused, match=f"^{sentence}"):
        read(SMALL | change)
