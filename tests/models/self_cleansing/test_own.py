"""Trainings on own pictures: what is read, what is handed back, what is refused."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from models.self_cleansing import own, slices
from models.self_cleansing.own_data import load_pictures, read_config
from models.self_cleansing.wrapper import load_predictor
from models.shared.data import DataDamaged

QUICK = {"epochs": 4, "warmup": 2, "batch": 4}


class Inbox:
    """Stops after so many looks."""

    def __init__(self, out, after: int = 10**6) -> None:
        self.out, self.left = out, after

    @property
    def stopping(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def pictures(tmp_path):
    """A zip of 14 pictures with masks, no squares, and one without."""

    def png(values: np.ndarray) -> bytes:
        data = io.BytesIO()
        Image.fromarray(values).resize((80, 60), Image.Resampling.NEAREST).save(data, "PNG")
        return data.getvalue()

    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(15):
            made = slices.sample(number, 64)
            archive.writestr(f"images/case{number:02d}.png", png((made.image * 255).astype(np.uint8)))
            if number < 14:
                archive.writestr(f"masks/case{number:02d}.png", png((made.mask > 0).astype(np.uint8) * 255))
    return path


def test_pictures_keep_their_names_and_sizes(pictures):
    found = load_pictures(read_config({"path": str(pictures)}))
    assert found.x.shape == (14, 1, 64, 64)
    assert set(np.unique(found.masks)) == {0, 1}
    assert found.names[3].endswith("case03.png")
    assert set(found.sizes) == {(60, 80)}
    assert "1 without one were left out" in found.note


def test_a_training_ranks_every_label_and_leaves_its_files(pictures, tmp_path):
    out = tmp_path / "out"
    events = list(own.train_own(QUICK | {"path": str(pictures), "flips": True}, Inbox(out)))
    assert [event["kind"] for event in events] == ["meta", *["epoch"] * 4, "result"]
    assert "pictures" not in events[1]
    assert "pictures" in events[3]
    result = events[-1]
    assert not result["stopped"]
    assert sorted(one["index"] for one in result["ranking"]) == list(range(14))
    assert {one["name"].rsplit("/")[-1] for one in result["ranking"]} == {f"case{n:02d}.png" for n in range(14)}
    assert {path.name for path in out.iterdir()} == set(own.FILES.values())
    rows = list(csv.reader(io.StringIO((out / own.FILES["ranking"]).read_text())))
    assert [row[1] for row in rows[1:]] == [one["name"] for one in result["ranking"]]
    predictor = load_predictor(path=out / own.FILES["weights"])
    assert predictor.structures == ("lesion",)
    assert predictor.run(predictor.prepare(np.zeros((60, 80), np.uint8))).mask.shape == (60, 80)


def test_proposed_masks_have_their_pictures_size(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("models.self_cleansing.cleansing.FLIPS", 0.0)
    monkeypatch.setattr("models.self_cleansing.filtering.GAP", 0.0)
    monkeypatch.setattr("models.self_cleansing.filtering.SEPARATION", 0.0)
    monkeypatch.setattr("models.self_cleansing.filtering.MASS", 0.0)
    *_, result = own.train_own(QUICK | {"path": str(pictures), "kappa": 0.51, "gate": "sample"}, Inbox(tmp_path / "out"))
    changed = [one for one in result["ranking"] if one["flips"]]
    with zipfile.ZipFile(tmp_path / "out" / own.FILES["masks"]) as archive:
        names = archive.namelist()
        assert len(names) == len(changed) > 0
        assert names[0].startswith("0001_case")
        mask = np.asarray(Image.open(io.BytesIO(archive.read(names[0]))))
    assert mask.shape == (60, 80)
    assert set(np.unique(mask)) <= {0, 255}


def test_a_stopped_training_keeps_its_last_pass_or_says_that_there_is_none(pictures, tmp_path):
    *_, early = own.train_own(QUICK | {"path": str(pictures)}, Inbox(tmp_path / "a", after=2))
    assert early["stopped"]
    assert early["files"] == {}
    *_, late = own.train_own(QUICK | {"path": str(pictures)}, Inbox(tmp_path / "b", after=13))
    assert late["stopped"]
    assert late["ranking"]


def test_what_cannot_be_used_is_refused_in_a_sentence(pictures, tmp_path):
    for change, words in (({"side": 65}, "side"), ({"warmup": 4}, "leaves none"), ({"gate": "none"}, "gate")):
        with pytest.raises(ValueError, match=words):
            read_config(QUICK | {"path": str(pictures)} | change)
    few = tmp_path / "few.zip"
    with zipfile.ZipFile(pictures) as old, zipfile.ZipFile(few, "w") as new:
        for name in old.namelist()[:10]:
            new.writestr(name, old.read(name))
    with pytest.raises(DataDamaged, match="at least 12 with a mask"):
        load_pictures(read_config({"path": str(few)}))


def test_names_that_a_spreadsheet_would_run_are_made_harmless():
    from models.self_cleansing.results import Suspect

    assert "'=1+1.png" in own._csv((Suspect(0, 0.5, 0.1, 0, None, "=1+1.png"),)).decode()
