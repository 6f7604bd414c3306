"""Trainings on own pictures of which few keep their masks: what is learned from what was brought, stopping, and the weights in use."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.semsim.own import train_own
from models.semsim.own_data import load_pictures, read_config
from models.semsim.wrapper import load_predictor
from models.shared.data import DataDamaged


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def zipped(tmp_path):
    """A zip of 30 pictures with a bright disc, every third without a mask."""
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30):
            random = np.random.default_rng(number)
            coarse = random.integers(20, 120, (9, 9), dtype=np.uint8)
            picture = np.asarray(Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC)).copy()
            y, x = np.mgrid[:72, :72]
            disc = (y - random.integers(20, 52)) ** 2 + (x - random.integers(20, 52)) ** 2 < 160
            picture[disc] = 230
            archive.writestr(f"p{number}.png", png(picture))
            if number % 3:
                archive.writestr(f"p{number}_mask.png", png(disc.astype(np.uint8) * 255))
    return str(path)


class Box:
    """An inbox that stops after some looks."""

    def __init__(self, out: Path, stop_after: int | None = None) -> None:
        self.out, self.stop_after, self.looks = out, stop_after, 0

    @property
    def stopping(self) -> bool:
        self.looks += 1
        return self.stop_after is not None and self.looks > self.stop_after


def run(path: str, out: Path, *, stop_after: int | None = None, **config):
    return list(train_own({"path": path, "steps": 20, "batch": 2, **config}, Box(out, stop_after)))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)


def test_few_masks_are_kept_and_every_picture_serves(zipped):
    pictures = load_pictures(read_config({"path": zipped, "share": 0.2}))
    assert len(pictures.train) == 24
    assert 12 <= pictures.with_masks < 24
    assert len(pictures.labelled) == round(0.2 * pictures.with_masks)
    assert pictures.train.masks[pictures.labelled[0]].any()
    assert len(load_pictures(read_config({"path": zipped, "share": 0.01})).labelled) == 1


def test_every_arm_is_measured_and_can_be_used(tmp_path, zipped):
    events = run(zipped, tmp_path, share=0.2)
    meta, result = events[0], events[-1]
    assert [one["id"] for one in meta["arms"]] == ["supervised", "fixmatch", "semsim"]
    assert meta["n_labelled"] < meta["n_with_masks"] < meta["n_train"]
    assert set(result["scores"]["semsim"]) >= {"dice", "missed"}
    steps = [event["step"][0] for event in events if event["kind"] == "points" and event["arm"] == "semsim"]
    assert steps == [10, 20]
    points = next(event for event in events if event["kind"] == "points" and event["arm"] == "semsim")
    assert {"kept_u", "kept_intra", "kept_cross", "ubar", "loss"} <= set(points)
    predictor = load_predictor("own", "semsim", path=tmp_path / result["files"]["weights"])
    assert predictor.labelled == meta["n_labelled"]
    answer = predictor.run(predictor.prepare(np.full((50, 70), 128, np.uint8)))
    assert answer.mask.shape == (50, 70)
    assert predictor.board(4).present[0].all()


def test_colour_pictures(tmp_path, zipped):
    events = run(zipped, tmp_path, colour=True, arms=["semsim"])
    predictor = load_predictor("own", "semsim", path=tmp_path / events[-1]["files"]["weights"])
    assert predictor.board(4).pictures.shape[1:] == (64, 64, 3)
    assert predictor.prepare(np.zeros((30, 40, 3), np.uint8)).seen.shape == (64, 64, 3)


def test_what_was_done_before_a_stop_is_kept(tmp_path, zipped):
    events = run(zipped, tmp_path, stop_after=2)
    assert events[-1]["stopped"]
    assert set(events[-1]["scores"]) == {"supervised"}
    assert load_predictor("own", "supervised", path=tmp_path / events[-1]["files"]["weights"]).structures == ("lesion",)
    assert run(zipped, tmp_path, stop_after=0)[-1] == {"kind": "result", "stopped": True, "files": {}, "scores": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 1}, "steps: Input should be greater"),
        ({"side": 100}, "side:"),
        ({"share": 0}, "share:"),
        ({"arms": ["magic"]}, "arms.0"),
        ({"hue": 1}, "hue"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_happens(tmp_path, zipped, change, words):
    with pytest.raises(ValueError, match=words):
        run(zipped, tmp_path, **change)


def test_a_zip_without_masks_is_refused(tmp_path):
    path = tmp_path / "none.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(np.zeros((64, 64), np.uint8)))
    with pytest.raises(DataDamaged, match="no masks were found"):
        run(str(path), tmp_path)
