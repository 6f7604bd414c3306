"""The real work of a batch: pieces joined into one table that says what a single pass says; another question starts anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from models.m2ost.wrapper import load_predictor, spot_grid
from models.shared.data.histology import make_section
from models.shared.method import get
from models.shared.slides import open_source
from workbench.batch import m2ost
from workbench.batch.__main__ import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not get("m2ost").checkpoint.is_file(), reason="the trained networks are not in this copy"),
]


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "one.png"
    Image.fromarray(make_section(0, patient=3, width_um=1000, height_um=900, mpp=1.0).pixels).save(path)
    return path


def test_pieces_give_the_table_of_a_single_pass(slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m2ost, "PIECE", 40)
    options, folder = m2ost.Options(mpp=1.0, pitch_um=60.0), str(tmp_path / "one")
    plan = m2ost.plan(str(slide), folder, options)
    assert plan.pieces > 2
    counts = [m2ost.run(str(slide), folder, options, number) for number in plan.todo]
    assert counts[0] == 40
    assert sum(counts) == plan.spots
    assert m2ost.plan(str(slide), folder, options).todo == ()
    done = m2ost.join(folder, options)
    assert done["files"] == ["predictions.csv", "predictions.h5ad"]
    table = pd.read_csv(Path(folder) / "predictions.csv")
    source, predictor = open_source(slide, mpp=1.0), load_predictor("full")
    grid = spot_grid(source, pitch_um=60.0)
    values = np.zeros((len(grid.xy), 48), np.float32)
    for chunk in predictor.predict(source, grid, np.arange(len(grid.xy))):
        values[chunk.indices] = chunk.values
    assert np.abs(table[[gene.name for gene in predictor.genes]].to_numpy() - values).max() < 2e-3
    assert not list(Path(folder).glob("piece-*"))
    assert m2ost.plan(str(slide), folder, options).done
    other = m2ost.plan(str(slide), folder, m2ost.Options(mpp=1.0, pitch_um=80.0))
    assert not other.done
    assert other.todo


def test_the_command_does_two_slides_and_tells_of_a_bad_one(slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\x00nothing")
    code = main(
        ["m2ost", str(slide), str(bad), "--out", str(tmp_path / "out"), "--mpp", "1.0", "--pitch-um", "120", "--workers", "1", "--json"]
    )
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert {event["kind"] for event in events} >= {"planned", "progress", "joined", "failed"}
    assert (tmp_path / "out" / "one" / "predictions.csv").exists()
    assert main(["m2ost", str(slide), "--out", str(tmp_path / "out"), "--mpp", "1.0", "--pitch-um", "120", "--workers", "1"]) == 0
    assert "done before" in capsys.readouterr().out


def test_arguments_that_make_no_sense_are_two(slide: Path, tmp_path: Path) -> None:
    assert main(["m2ost", str(slide), "--out", str(tmp_path), "--workers", "0"]) == 2
    assert main(["m2ost", str(slide), "--out", str(tmp_path), "--pitch-um", "1"]) == 2
