"""Prompts from one's own pictures: a zip goes in; curves, cross-validated accuracy and usable weights come out."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.promim import own
from models.promim.own_data import OwnPictures, folds_of, load_pictures, read_config
from models.promim.records import Options
from models.promim.weights import read
from models.promim.wrapper import Explorer
from models.shared.backbones.clip import Clip
from models.shared.data import DataDamaged, phantoms


@dataclass
class Inbox:
    out: Path
    after: int = 10**9
    looks: int = 0

    @property
    def stopping(self) -> bool:
        self.looks += 1
        return self.looks > self.after


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "two.zip"
    with zipfile.ZipFile(path, "w") as file:
        for folder, family in (("liver_ct", "liver_ct"), ("brain-scan", "brain_mr")):
            for seed in range(6):
                file.writestr(f"{folder}/{seed}.png", png(phantoms.sample(family, seed).image[:96]))  # wider than high
    return path


@pytest.fixture(autouse=True)
def _tiny_clip(tiny: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "load_clip", lambda name, device: tiny)


def config(path: Path, **more: object) -> dict:
    return {"path": str(path), "epochs": 2, "arms": ["coop", "promim"], "folds": 2, **more}


def test_a_zip_becomes_prompts_that_explore_can_use(archive: Path, tmp_path: Path, tiny: Clip) -> None:
    events = list(own.train_own(config(archive), Inbox(tmp_path)))
    json.dumps(events)
    assert [event["kind"] for event in events[:2]] == ["meta", "scores"]
    assert [one["name"] for one in events[0]["classes"]] == ["brain scan", "liver ct"]
    last = events[-1]
    assert last["kind"] == "result"
    assert not last["stopped"]
    assert {arm: score["n"] for arm, score in last["scores"].items()} == {"clip": 12, "coop": 12, "promim": 12}
    points = [event for event in events if event["kind"] == "points"]
    assert {(event["arm"], event["fold"]) for event in points} == {(arm, fold) for arm in ("coop", "promim") for fold in (1, 2, 0)}
    explorer = Explorer(tiny, read(tmp_path / last["files"]["weights"]))
    assert explorer.arms == ("clip", "coop", "promim")
    assert explorer.tasks[0].base == ("brain scan", "liver ct")
    answer = explorer.run(explorer.prepare(phantoms.sample("liver_ct", 99).image), Options(classes=explorer.tasks[0].base))
    assert answer.probabilities.shape == (3, 2)


def test_the_card_says_how_the_accuracy_was_found_and_not_where_the_file_lay(archive: Path, tmp_path: Path) -> None:
    list(own.train_own(config(archive, arms=["coop"]), Inbox(tmp_path)))
    card = json.loads((tmp_path / "prompts.json").read_text(encoding="utf-8"))
    assert set(card["metrics"]) == {"own/accuracy@clip", "own/accuracy@coop"}
    assert card["metrics"]["own/accuracy@coop"]["interval"] == "Wilson"
    assert card["datasets"][0]["kind"] == "real"
    assert "cross-validated" in card["notes"]
    assert str(archive) not in json.dumps(card)


@pytest.mark.parametrize(("after", "files"), [(3, False), (10, True)])
def test_a_stop_keeps_what_is_finished(archive: Path, tmp_path: Path, after: int, files: bool) -> None:
    # 6 pictures train for 2 steps in each of 2 folds and 12 for 2 steps at last, for both arms: 8 looks, then CoOp's last two
    events = list(own.train_own(config(archive), Inbox(tmp_path, after=after)))
    assert events[-1]["kind"] == "result"
    assert events[-1]["stopped"]
    assert bool(events[-1]["files"]) == files
    assert (tmp_path / "prompts.safetensors").exists() == files


def test_pictures_are_padded_as_explore_pads_them(archive: Path, clip: Clip) -> None:
    pictures = load_pictures(read_config(config(archive)), clip)
    assert pictures.pixels.shape == (12, 3, 128, 128)
    assert float(pictures.pixels[:, :, 2].max()) == 0  # black above the picture
    explorer = Explorer(clip, None)
    shown = [explorer.prepare(phantoms.sample("brain_mr", seed).image[:96]).pixels[0] for seed in range(6)]
    for own_pixels in clip.normalise(pictures.pixels[pictures.labels == 0]).numpy():
        assert min(float(np.abs(own_pixels - one).mean()) for one in shown) < 0.06


def test_a_dicom_goes_through_the_callers_decoder(tmp_path: Path, clip: Clip) -> None:
    for name in ("left", "right"):
        for number in range(4):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{number}.dcm").write_bytes(bytes([number]) + name.encode())

    def decode(data: bytes, name: str) -> np.ndarray:
        return np.random.default_rng([data[0], len(data)]).random((40, 60)).astype(np.float32)

    assert len(load_pictures(read_config(config(tmp_path)), clip, decode).labels) == 8
    with pytest.raises(DataDamaged):
        load_pictures(read_config(config(tmp_path)), clip)


def test_near_copies_never_stand_on_both_sides_of_a_fold() -> None:
    labels, groups = torch.tensor([0] * 6 + [1] * 6), torch.tensor([0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 7])
    pictures = OwnPictures(torch.zeros(12, 3, 1, 1), labels, groups, ("a", "b"), "")
    folds = folds_of(pictures, 3, 0)
    assert len(folds) == 3
    assert sorted(torch.cat([test for _, test in folds]).tolist()) == list(range(12))
    for train, test in folds:
        assert not set(groups[train].tolist()) & set(groups[test].tolist())


def test_of_a_large_class_only_so_many_are_used(archive: Path, clip: Clip) -> None:
    pictures = load_pictures(read_config(config(archive, per_class=4)), clip)
    assert torch.bincount(pictures.labels).tolist() == [4, 4]
    assert "left out" in pictures.note


def test_two_classes_of_one_name_are_refused(archive: Path, clip: Clip) -> None:
    with pytest.raises(DataDamaged, match="same name"):
        load_pictures(read_config(config(archive, names={"liver_ct": "brain scan"})), clip)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"arms": []}, "arms"), ({"arms": ["clip"]}, "arms"), ({"epochs": 0}, "epochs"), ({"x": 1}, "x"), ({"ratio": 2}, "ratio")],
)
def test_a_configuration_that_cannot_be_trained_is_refused(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_config({"path": "a.zip"} | change)


def test_a_file_that_is_no_zip_is_refused_before_the_first_event(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(DataDamaged):
        next(own.train_own(config(tmp_path / "a.zip"), Inbox(tmp_path)))
