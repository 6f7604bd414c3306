"""Pictures of other kinds out of a visitor's zip: decoded for the models, within a job's own process, without Gradio."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from models.shared.data import DataDamaged, folders
from workbench import zip_pictures
from workbench.imaging import InputRefused, load
from workbench.jobs.manager import ALLOWED_WORK

CT = Path(get_testdata_file("CT_small.dcm"))


def coarse(number):
    """A picture of 4 × 4 fields in shades of its own, so that no two are near copies."""
    shades = np.random.default_rng(number).integers(0, 256, (4, 4), np.uint8)
    return np.kron(shades, np.ones((32, 32), np.uint8))


def tiff(number):
    stream = io.BytesIO()
    Image.fromarray(coarse(number)).save(stream, "TIFF")
    return stream.getvalue()


def dicom(number):
    data, stream = pydicom.dcmread(CT), io.BytesIO()
    data.PixelData = (864 + coarse(number) * 1.5).astype("<i2").tobytes()  # within the window for soft tissue
    data.save_as(stream)
    return stream.getvalue()


def test_a_dicom_is_decoded_as_a_viewer_shows_it_and_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = zip_pictures.decode(CT.read_bytes(), "scans/a.dcm")
    assert (shown.shape, shown.dtype) == ((128, 128), np.uint8)
    assert np.array_equal(shown, load(CT).display())
    with pytest.raises(InputRefused):
        zip_pictures.decode(b"no picture", "../../x/y.dcm")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_of_mixed_kinds_becomes_a_data_set(tmp_path):
    file = tmp_path / "own.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(6):
            archive.writestr(f"drawn/{number}.tif", tiff(number))
            archive.writestr(f"scan/{number}.dcm", dicom(number + 100))
    made = folders.load(file, size=16, decode=zip_pictures.decode, decodes=zip_pictures.DECODES)
    assert made.classes == ("drawn", "scan")


def test_a_damaged_file_in_a_zip_is_named(tmp_path):
    file = tmp_path / "own.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(4):
            archive.writestr(f"a/{number}.dcm", CT.read_bytes()[:-9000])
            archive.writestr(f"b/{number}.dcm", CT.read_bytes())
    with pytest.raises(DataDamaged, match=r"a/0\.dcm: The DICOM file is cut short"):
        folders.load(file, size=16, decode=zip_pictures.decode, decodes=zip_pictures.DECODES)


@pytest.mark.parametrize("recipe", ["", "os:system", "models.promim.own", "models.promim.own:_hidden", "workbench.zip_pictures:train"])
def test_only_recipes_of_the_models_are_run(recipe):
    with pytest.raises(ValueError, match="name no training"):
        next(zip_pictures.train({"recipe": recipe}, None))


def test_a_recipe_is_given_the_settings_and_the_decoder(monkeypatch):
    def recipe(config, inbox, decode):
        yield {"config": config, "inbox": inbox, "decode": decode}

    monkeypatch.setattr("models.shared.data.folders.train_own", recipe, raising=False)
    (event,) = zip_pictures.train({"recipe": "models.shared.data.folders:train_own", "epochs": 2}, "box")
    assert event == {"config": {"epochs": 2}, "inbox": "box", "decode": zip_pictures.decode}


def test_a_job_may_name_it_and_its_process_loads_no_gradio():
    import re

    assert re.fullmatch(ALLOWED_WORK, zip_pictures.WORK)
    code = "import sys, workbench.zip_pictures; sys.exit(any(name in sys.modules for name in ('gradio', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
