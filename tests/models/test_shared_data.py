"""The data sets: sizes as published, parts that share nothing, and plain words when files are absent or damaged."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from models.shared import data
from models.shared.data import splits
from models.shared.data.brain_mri import CLASSES

REAL = os.environ.get("WORKBENCH_DATA", "")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return tmp_path


def rows(split: data.Split) -> list[bytes]:
    return [row.numpy().tobytes() for row in split.x]


def check(found: data.Dataset) -> None:
    """What holds for every set."""
    parts = (found.train, found.validation, found.test)
    for part in parts:
        assert part.x.dtype == torch.float32
        assert part.y.dtype == torch.int64
        assert len(part) == len(part.x) == len(part.y)
        assert set(part.y.tolist()) == set(range(len(found.classes)))
        assert torch.isfinite(part.x).all()
    train, validation, test = (set(rows(part)) for part in parts)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert found.licence
    assert found.source
    assert found.note


# sets that come with the libraries


def test_digits():
    found = data.load("digits")
    check(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [1079, 359, 359]
    assert found.train.x.shape[1:] == (1, 8, 8)
    assert found.train.x.min() == 0
    assert found.train.x.max() == 1
    # 1,797 cases, between 174 and 183 of each digit: a fifth is 35 or 36
    assert set(found.test.y.bincount().tolist()) <= {35, 36, 37}
    assert data.load("digits") is found


def test_breast_cancer_is_standardised_with_training_rows_alone():
    found = data.load("breast_cancer")
    check(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [341, 114, 114]
    torch.testing.assert_close(found.train.x.mean(0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.train.x.std(0, correction=0), torch.ones(30), atol=1e-5, rtol=0)
    assert found.test.x.mean(0).abs().max() > 0.01
    # 212 of the 569 are malignant
    counts = [part.y.bincount().tolist()[0] for part in (found.train, found.validation, found.test)]
    assert sum(counts) == 212
    assert counts == pytest.approx([127, 42.5, 42.5], abs=1)
    assert found.classes[0] == "malignant"


def test_a_split_moves_to_a_device_without_copying_when_there():
    split = data.load("digits").test
    assert split.to("cpu").x.data_ptr() == split.x.data_ptr()


# cutting


def test_cut_is_stratified_disjoint_and_always_the_same():
    y = np.repeat([0, 1, 2], [100, 50, 50])
    train, validation, test = splits.cut(y, validation=0.2, test=0.2)
    assert sorted([*train, *validation, *test]) == list(range(200))
    assert np.bincount(y[test]).tolist() == [20, 10, 10]
    assert np.bincount(y[validation]).tolist() == [20, 10, 10]
    assert all(np.array_equal(a, b) for a, b in zip(splits.cut(y, validation=0.2, test=0.2), (train, validation, test), strict=True))
    assert len(splits.cut(y, validation=0.1)[2]) == 0


def test_copies_are_found():
    x = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [7, 8]])
    assert splits.rows_without_copies(x, np.array([[5, 6]])).tolist() == [0, 1, 4]


# MedMNIST


def write_medmnist(root, name="breastmnist.npz", **changes) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 12), ("val", 6), ("test", 8)):
        arrays[f"{part}_images"] = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2)[:, None].astype(np.uint8)
    arrays["train_images"][3] = arrays["test_images"][0]
    arrays["train_images"][4] = arrays["train_images"][2]
    arrays["val_images"][5] = arrays["test_images"][1]
    (root / "medmnist").mkdir(exist_ok=True)
    np.savez_compressed(root / "medmnist" / name, **(arrays | changes))


def test_medmnist_without_copies(root):
    write_medmnist(root)
    assert data.is_here("breastmnist")
    found = data.load("breastmnist")
    check(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [10, 5, 8]
    assert "2 of the training and 1 of the validation pictures" in found.note
    with np.load(root / "medmnist" / "breastmnist.npz") as archive:
        np.testing.assert_allclose(found.test.x[:, 0].numpy() * 255, archive["test_images"], atol=1e-4)
        assert found.test.y.tolist() == archive["test_labels"].ravel().tolist()


def test_the_reduced_archive_says_so(root):
    write_medmnist(root, "pneumoniamnist_subset.npz")
    assert "The training part is reduced" in data.load("pneumoniamnist").note


@pytest.mark.parametrize(
    "changes",
    [
        {"val_images": np.zeros((6, 30, 28), np.uint8)},
        {"val_images": np.zeros((6, 28, 28), np.float32)},
        {"val_images": np.zeros((0, 28, 28), np.uint8), "val_labels": np.zeros(0, np.uint8)},
        {"val_labels": np.full(6, 2)},
        {"val_labels": np.full(6, 0.5)},
        {"val_labels": np.zeros(5, np.uint8)},
    ],
    ids=["shape", "type", "empty", "unknown class", "half labels", "too few labels"],
)
def test_odd_medmnist_archives_are_refused(root, changes):
    write_medmnist(root, **changes)
    with pytest.raises(data.DataDamaged, match=r"breastmnist\.npz: expected 28×28 grey pictures with labels 0 to 1 in the val part"):
        data.load("breastmnist")


def test_medmnist_archives_with_python_objects_are_refused(root):
    write_medmnist(root, val_images=np.array([{"a": 1}] * 6, dtype=object))
    with pytest.raises(data.DataDamaged, match="cannot be read as a MedMNIST archive"):
        data.load("breastmnist")


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 nothing"], ids=["empty", "no archive"])
def test_damaged_medmnist_files_are_refused(root, raw):
    write_medmnist(root)
    (root / "medmnist" / "breastmnist.npz").write_bytes(raw)
    with pytest.raises(data.DataDamaged, match="Fetch the file once more"):
        data.load("breastmnist")


def test_archives_that_unpack_to_too_much_are_refused(root, monkeypatch):
    write_medmnist(root)
    monkeypatch.setattr("models.shared.data.medmnist.MAX_PIXELS_BYTES", 1000)
    with pytest.raises(data.DataDamaged, match="unpacks to more than"):
        data.load("breastmnist")


# brain MRI


def jpeg(number: int, side: int = 128) -> bytes:
    """A picture of one grey level with a dark corner, so that each number gives another picture."""
    picture = np.full((side, side), 60 + number, np.uint8)
    picture[: side // 2, : side // 2] = number % 50
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95)
    return out.getvalue()


def write_zip(root, *, train: int = 20, extra: dict[str, bytes] | None = None) -> None:
    with zipfile.ZipFile(root / "brain-tumor-mri-128.zip", "w") as archive:
        for place, name in enumerate(CLASSES):
            for n in range(train):
                archive.writestr(f"train/{name}/{n:03}.jpg", jpeg(place * 40 + n))
            for n in range(5):
                archive.writestr(f"test/{name}/{n:03}.jpg", jpeg(place * 40 + 20 + n))
        for name, content in (extra or {}).items():
            archive.writestr(name, content)


def test_brain_mri_from_the_zip(root):
    copy_of_a_test_picture = jpeg(20)
    write_zip(root, extra={"train/glioma/999.jpg": copy_of_a_test_picture, "train/glioma/notes.txt": b"?", "../train/glioma/x.jpg": b"?"})
    found = data.load("brain_mri")
    check(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [68, 12, 20]
    assert found.test.y.bincount().tolist() == [5, 5, 5, 5]
    assert found.validation.y.bincount().tolist() == [3, 3, 3, 3]
    assert found.train.x.shape[1:] == (1, 64, 64)
    assert "1 training pictures were taken out" in found.note
    # test picture 0 is number 20: level 80 with the upper left quarter at 20
    first = found.test.x[0, 0] * 255
    assert first[:28, :28].mean() == pytest.approx(20, abs=2)
    assert first[36:, 36:].mean() == pytest.approx(80, abs=2)


def test_brain_mri_from_the_folder(root):
    for place, name in enumerate(CLASSES):
        (root / "brain-tumor-mri" / name).mkdir(parents=True)
        for n in range(10):
            (root / "brain-tumor-mri" / name / f"{n}.jpg").write_bytes(jpeg(place * 40 + n, side=100))
    assert data.is_here("brain_mri")
    found = data.load("brain_mri")
    check(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [24, 8, 8]
    assert "Only 40 pictures are here" in found.note


@pytest.mark.parametrize("content", [b"", b"GIF89a", jpeg(3)[:200]], ids=["empty", "no JPEG", "cut off"])
def test_a_damaged_picture_is_named(root, content):
    write_zip(root, extra={"train/glioma/broken.jpg": content})
    with pytest.raises(data.DataDamaged, match=r"train/glioma/broken\.jpg cannot be read"):
        data.load("brain_mri")


def test_a_huge_picture_is_refused(root, monkeypatch):
    monkeypatch.setattr("models.shared.data.brain_mri.MAX_SIDE_PX", 200)
    write_zip(root, extra={"train/glioma/huge.jpg": jpeg(3, side=256)})
    with pytest.raises(data.DataDamaged, match="256×256, too large"):
        data.load("brain_mri")


def test_a_zip_that_is_none_is_refused(root):
    (root / "brain-tumor-mri-128.zip").write_bytes(b"nothing")
    with pytest.raises(data.DataDamaged, match=r"brain-tumor-mri-128\.zip cannot be read"):
        data.load("brain_mri")


# absent sets


@pytest.mark.parametrize("name", ["breastmnist", "pneumoniamnist", "brain_mri"])
def test_absent_data_is_said_with_the_file_and_the_place(root, name):
    assert not data.is_here(name)
    with pytest.raises(data.DataNotHere) as caught:
        data.load(name)
    assert "is not here: expected" in str(caught.value)
    assert str(root) in str(caught.value)
    assert "WORKBENCH_DATA" in str(caught.value)


def test_data_put_in_place_later_is_found(root):
    with pytest.raises(data.DataNotHere):
        data.load("breastmnist")
    write_medmnist(root)
    assert len(data.load("breastmnist").test) == 8


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(KeyError, match="the known ones are: digits, breast_cancer"):
        data.load("digit")


# the real files, where this machine has them


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("breastmnist", (545, 78, 156)), ("pneumoniamnist", (3857, 524, 624)), ("brain_mri", (4515, 797, 1311))],
)
def test_real_sets_have_the_published_sizes_less_copies(name, sizes, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", REAL)
    if not REAL or not data.is_here(name):
        pytest.skip("the data set is not on this machine")
    found = data.load(name)
    check(found)
    assert (len(found.train), len(found.validation), len(found.test)) == sizes
