"""Trainings on own pictures with masks: what is learned from what was brought, stopping, and the weights in use."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.resformer_mtl.own import train_own
from models.resformer_mtl.wrapper import load_predictor
from models.shared.data import DataDamaged


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def zipped(tmp_path):
    """A function that writes 24 pictures with a bright disc or none; `layout` says whether class folders, black masks or both are there."""

    def write(layout: str) -> str:
        path = tmp_path / f"{layout}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(24):
                random = np.random.default_rng(number)
                coarse = random.integers(20, 120, (9, 9), dtype=np.uint8)
                picture = np.asarray(Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC)).copy()
                y, x = np.mgrid[:72, :72]
                disc = (y - random.integers(20, 52)) ** 2 + (x - random.integers(20, 52)) ** 2 < 120
                drawn = number % 3 != 0 or layout == "all drawn"
                picture[disc & drawn] = 230
                folder = f"{'sick' if drawn else 'well'}/" if layout == "classes" else ""
                archive.writestr(f"{folder}p{number}.png", png(picture))
                if layout != "classes" or number % 2:
                    archive.writestr(f"{folder}p{number}_mask.png", png((disc & drawn).astype(np.uint8) * 255))
        return str(path)

    return write


def run(path: str, out: Path, *, stop_after: int | None = None, **config):
    inbox = SimpleNamespace(out=out, stopping=False)
    events = []
    for event in train_own({"path": path, "steps": 10, "batch": 4, "side": 64, **config}, inbox):
        events.append(event)
        inbox.stopping = stop_after is not None and sum(e["kind"] == "scores" for e in events) >= stop_after
    return events


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("models.shared.metrics.RESAMPLES", 20)


def test_class_folders_are_learned_beside_the_masks(tmp_path, zipped):
    events = run(zipped("classes"), tmp_path)
    meta, result = events[0], events[-1]
    assert [one["name"] for one in meta["classes"]] == ["sick", "well"]
    assert sum(one["n"] for one in meta["classes"]) == meta["n_train"] + meta["n_test"] == 24
    assert meta["masks"]["train"] + meta["masks"]["test"] == 12
    assert [one["id"] for one in meta["arms"]] == ["full", "seg_only", "cls_only"]
    assert set(result["scores"]["full"]) >= {"dice", "auroc", "accuracy", "ece"}
    assert "auroc" not in result["scores"]["seg_only"]
    assert "dice" not in result["scores"]["cls_only"]
    steps = [step for event in events if event["kind"] == "points" and event["arm"] == "full" for step in event["step"]]
    assert steps == list(range(1, 11))
    predictor = load_predictor("own", "full", path=tmp_path / result["files"]["weights"])
    answer = predictor.run(predictor.prepare(np.full((50, 70), 128, np.uint8), (0.1, 0.1)))
    assert answer.mask.shape == (50, 70)
    assert answer.scores.shape == (2,)


def test_black_masks_make_the_class_where_there_are_no_folders(tmp_path, zipped):
    events = run(zipped("black and drawn"), tmp_path, arms=["full"])
    assert events[0]["classes"] == [{"name": "anything drawn", "n": 16}]
    assert set(events[-1]["scores"]["full"]) >= {"dice", "false_alarm", "auroc"}


def test_with_drawn_masks_alone_only_outlines_are_learned(tmp_path, zipped):
    events = run(zipped("all drawn"), tmp_path, arms=["full", "cls_only"])
    assert not events[0]["classifies"]
    assert [one["id"] for one in events[0]["arms"]] == ["seg_only"]
    assert "auroc" not in events[-1]["scores"]["seg_only"]
    predictor = load_predictor("own", "seg_only", path=tmp_path / events[-1]["files"]["weights"])
    assert not predictor.classifies


def test_what_was_done_before_a_stop_is_kept(tmp_path, zipped):
    events = run(zipped("classes"), tmp_path, stop_after=1)
    assert events[-1]["stopped"]
    assert set(events[-1]["scores"]) == {"full"}
    assert load_predictor("own", "full", path=tmp_path / events[-1]["files"]["weights"]).classes == ("sick", "well")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 1}, "steps: Input should be greater"),
        ({"side": 100}, "side:"),
        ({"arms": ["magic"]}, "arms.0"),
        ({"colour": 1}, "colour"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_happens(tmp_path, zipped, change, words):
    with pytest.raises(ValueError, match=words):
        run(zipped("classes"), tmp_path, **change)


def test_a_zip_without_masks_is_refused(tmp_path):
    path = tmp_path / "none.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(np.zeros((64, 64), np.uint8)))
    with pytest.raises(DataDamaged, match="no masks were found"):
        run(str(path), tmp_path)
