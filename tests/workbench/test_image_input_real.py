"""Real pictures through the store: every scan of the data folder and every test file of pydicom becomes a picture or one plain sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.data import get_testdata_files

from models.shared.paths import data_root
from workbench.imaging import InputRefused
from workbench.pictures import MAX_SIDE_PX, Pictures
from workbench.visitors import COOKIE

pytestmark = pytest.mark.slow

ANN = SimpleNamespace(cookies={COOKIE: "a" * 24}, session_hash=None, username=None)
FOLDERS = {
    "brain-tumor-mri": 100, "busi-subset": 100, "isic2017-subset": 64, "ct-multiorgan-slices": 10, "dsb2018-nuclei": 35, "nct-crc-he-tiles": 8,
}  # fmt: skip
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".nii", ".gz")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    store = Pictures(tmp_path_factory.mktemp("home") / "pictures")
    yield store
    store.close()


def taken(pictures, path):
    picture = pictures.get(ANN, pictures.add(ANN, path))
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim in (2, 3)
    assert 0 < max(picture.height, picture.width) <= MAX_SIDE_PX
    return picture


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_scan_of_the_data_folder_is_taken(pictures, folder):
    place = data_root() / folder
    if not place.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    files = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in ENDINGS]
    assert len(files) >= FOLDERS[folder]
    for path in files:
        picture = taken(pictures, path)
        assert picture.pixels.std() > 0 or "mask" in str(path) or "label" in str(path), path  # something is to be seen


def test_every_test_file_of_pydicom_is_a_picture_or_a_sentence(pictures):
    files = [Path(name) for name in get_testdata_files() if Path(name).is_file()]
    assert len(files) > 60
    taken_in, sentences = 0, []
    for path in files:
        try:
            taken(pictures, path)
            taken_in += 1
        except InputRefused as refused:
            sentences.append(str(refused))
    assert taken_in >= 45, sentences
    assert all(sentence.endswith(".") and "Traceback" not in sentence for sentence in sentences)
