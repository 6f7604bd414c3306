"""BUSI by groups of near copies and ISIC 2018: in their own layouts, and the real files where this machine has them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.shared import data
from models.shared.data import busi

REAL = os.environ.get("WORKBENCH_DATA", "")


# BUSI


def test_busi_from_the_zip_keeps_near_copies_together(root, write_zip, parts, busi_content):
    write_zip(root / "busi-256.zip", busi_content(layout="zip"))
    assert data.is_here("busi")
    found = data.load("busi", size=64)
    assert found.classes == ("benign", "malignant", "normal")
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held)) == 21  # 24 pictures, three of them near copies
    for part in parts(found):
        n = len(part)
        assert (part.x.shape, part.x.dtype) == ((n, 1, 64, 64), torch.float32)
        assert 0 <= part.x.min() < part.x.max() <= 1
        assert (part.masks.shape, part.masks.dtype) == ((n, 64, 64), torch.bool)
        assert part.has_mask.dtype == part.marked.dtype == torch.bool
        assert set(part.y.tolist()) == {0, 1, 2}
        drawn = part.masks.flatten(1).sum(1)
        assert set(drawn[part.has_mask & (part.y < 2)].tolist()) <= {16 * 32}
        assert drawn[~part.has_mask | (part.y == 2)].sum() == 0
    assert sum(int(part.has_mask.sum()) for part in parts(found)) == 12
    assert "6 of the 24 pictures have a near copy" in found.note
    assert "the 21 groups" in found.note
    assert "rule of thumb" in found.note


def test_the_split_is_the_same_at_every_size(root, write_zip, parts, busi_content):
    write_zip(root / "busi-256.zip", busi_content(layout="zip"))
    small, large = data.load("busi", size=32), data.load("busi", size=256)
    for a, b in zip(parts(small), parts(large), strict=True):
        assert a.groups.tolist() == b.groups.tolist()
        assert a.y.tolist() == b.y.tolist()
    assert data.load("busi").train.x.shape[-1] == 128
    assert data.load("busi", size=32) is small


def test_busi_as_its_makers_released_it_merges_the_masks_of_one_picture(root, write_zip, busi_content):
    write_zip(root / "Dataset_BUSI_with_GT.zip", busi_content(layout="release"))
    found = busi.read(root / "Dataset_BUSI_with_GT.zip")
    assert found.has_mask.all()
    areas = found.masks.reshape(24, -1).mean(axis=1)
    one, both = 24 * 48 / 96**2, (2 * 24 * 48 - 24 * 24) / 96**2
    assert areas[:4] == pytest.approx([one, one, both, one], abs=1e-3)
    assert areas[16:].max() == 0
    assert len(data.load("busi", size=32).test) >= 3


def test_busi_from_the_small_folder_says_that_it_is_small(root, file_of, busi_content):
    for name, raw in busi_content(layout="zip").items():
        kind, _, file = name.split("/")
        (root / "busi-subset" / kind).mkdir(parents=True, exist_ok=True)
        (root / "busi-subset" / kind / file).with_suffix(".png").write_bytes(file_of(np.asarray(Image.open(io.BytesIO(raw)))))
    found = data.load("busi", size=32)
    assert "Only 24 pictures are here" in found.note


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no pictures of BUSI"),
        ({"images/benign/benign_1.jpg": b"?"}, r"benign_1\.jpg cannot be read"),
        ({"../x.png": b"?"}, "leads outside"),
    ],
)
def test_odd_busi_zips_are_refused(root, content, sentence, write_zip):
    write_zip(root / "busi-256.zip", content)
    with pytest.raises(data.DataDamaged, match=sentence):
        data.load("busi")


# ISIC


def test_isic_in_colour_with_masks_and_without_near_copies(root, write_zip, parts, isic_content):
    content = isic_content()
    copied = next(name for name in content if name.startswith("test/images"))
    content["train/images/ISIC_1.jpg"] = content[copied]
    content["train/masks/ISIC_1.png"] = content[copied.replace("images", "masks").replace("jpg", "png")]
    write_zip(root / "isic2018-task1-256.zip", content)
    found = data.load("isic2018", size=48)
    assert [len(part) for part in parts(found)] == [6, 3, 4]
    assert found.train.x.shape == (6, 3, 48, 48)
    red, green, blue = found.test.x.mean((0, 2, 3)).tolist()
    assert red / green == pytest.approx(2, rel=0.1)
    assert red / blue == pytest.approx(3, rel=0.1)
    assert found.test.has_mask.all()
    assert found.test.masks[:, :24].all()
    assert not found.test.masks[:, 24:].any()
    assert "1 training and 0 validation pictures were taken out" in found.note
    assert "Non-commercial" in found.note


def test_a_picture_without_its_mask_is_said(root, write_zip, isic_content):
    content = isic_content()
    del content[next(name for name in content if name.startswith("val/masks"))]
    write_zip(root / "isic2018-task1-256.zip", content)
    with pytest.raises(data.DataDamaged, match="3 pictures and 2 masks in val/"):
        data.load("isic2018")


# sizes of the sets that were here before


def test_sizes_are_checked_in_plain_words(root):
    with pytest.raises(ValueError, match="BUSI\\) can be had at 16 to 256 pixels a side, not at 8"):
        data.load("busi", size=8)
    with pytest.raises(ValueError, match="can be had at 8 pixels a side, not at 16"):
        data.load("digits", size=16)
    with pytest.raises(ValueError, match="is a table, not pictures"):
        data.load("breast_cancer", size=8)


def test_loaded_sets_are_dropped_when_they_take_too_much(monkeypatch):
    first = data.load("digits")
    monkeypatch.setattr(data, "MAX_KEPT_BYTES", 1)
    data.load("breast_cancer")
    assert data.load("digits") is not first


# the real files, where this machine has them


def real(name: str, monkeypatch, **options: int) -> data.Dataset:
    monkeypatch.setenv("WORKBENCH_DATA", REAL)
    if not REAL or not (Path(REAL) / data.record(name).places[0]).is_file():
        pytest.skip("the data set is not on this machine")
    return data.load(name, **options)


@pytest.mark.slow
def test_real_busi_has_the_published_counts_and_whole_groups(monkeypatch, parts):
    found = real("busi", monkeypatch, size=32)
    assert sum(len(part) for part in parts(found)) == 780
    assert sum(part.y.bincount() for part in parts(found)).tolist() == [437, 210, 133]
    assert sum(int(part.has_mask.sum()) for part in parts(found)) == 149
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held))
    assert 560 < len(set.union(*held)) < 640
    # of 128 pictures looked at by eye, marks were common on benign ones and rare on normal ones
    marks = torch.cat([part.marked for part in parts(found)])
    labels = torch.cat([part.y for part in parts(found)])
    shares = [marks[labels == label].float().mean().item() for label in range(3)]
    assert shares[0] > 0.3
    assert shares[2] < 0.1


def test_real_busi_folder_has_its_fifty_pictures(monkeypatch):
    place = Path(REAL) / "busi-subset"
    if not REAL or not place.is_dir():
        pytest.skip("the folder is not on this machine")
    found = busi.read(place)
    assert np.bincount(found.y).tolist() == [20, 20, 10]
    assert found.has_mask.all()
    assert (found.masks.reshape(50, -1).any(axis=1) == (found.y < 2)).all()


@pytest.mark.slow
def test_real_isic_has_its_parts_and_masks(monkeypatch, parts):
    found = real("isic2018", monkeypatch, size=32)
    assert len(found.test) == 594
    assert 1560 < len(found.train) < 1600
    assert 390 < len(found.validation) < 400
    for part in parts(found):
        assert part.has_mask.all()
        assert part.masks.flatten(1).any(1).float().mean() > 0.99


@pytest.mark.slow
def test_real_brain_mri_at_another_size_holds_the_same_cases(monkeypatch):
    small, large = real("brain_mri", monkeypatch), real("brain_mri", monkeypatch, size=128)
    assert large.test.x.shape == (1311, 1, 128, 128)
    assert torch.equal(small.train.y, large.train.y)
    shrunk = torch.nn.functional.avg_pool2d(large.train.x, 2)
    assert (shrunk - small.train.x).abs().mean() < 0.01


@pytest.mark.slow
def test_every_real_file_passes_the_check_of_fetching(monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", REAL)
    checked = 0
    for name in ("breastmnist", "pneumoniamnist", "busi", "isic2018", "brain_mri"):
        for place in data.record(name).places:
            path = Path(REAL) / place
            if REAL and path.is_file():
                assert data.source(name).check_file(path) == place
                checked += 1
    if not checked:
        pytest.skip("no data set is on this machine")
