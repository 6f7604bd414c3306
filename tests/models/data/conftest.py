"""What the tests of the data sets share: pictures made in code, and zips of them in the layouts of the real sets."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.shared import data
from models.shared.data import busi


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty data folder."""
    place = tmp_path / "data"
    place.mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(place))
    return place


def _scene(number: int, side: int = 96) -> np.ndarray:
    """Coarse random blobs, uint8 (side, side); every number gives a picture of its own."""
    coarse = np.random.default_rng(number).integers(0, 140, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def _file_of(picture: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind)
    return out.getvalue()


def _write_zip(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in content.items():
            archive.writestr(name, raw)
    return path


def _parts(found: data.Dataset) -> tuple[data.Split, data.Split, data.Split]:
    return found.train, found.validation, found.test


def _busi_content(*, layout: str, per_class: int = 8) -> dict[str, bytes]:
    """The first two pictures of each class are near copies; the first four of benign and malignant have masks, normal's are empty."""
    content = {}
    lesion = np.zeros((96, 96), np.uint8)
    lesion[24:48, 24:72] = 255
    for place, label in enumerate(busi.CLASSES):
        for n in range(1, per_class + 1):
            shown = _scene(100 * place + n) if n > 1 else _scene(100 * place + 2) // 2 + 5
            mask = lesion if label != "normal" else lesion * 0
            if layout == "zip":
                content[f"images/{label}/{label}_{n}.jpg"] = _file_of(shown, "JPEG")
                if n <= 4:
                    content[f"masks/{label}/{label}_{n}.png"] = _file_of(mask)
            else:
                content[f"Dataset_BUSI_with_GT/{label}/{label} ({n}).png"] = _file_of(shown)
                content[f"Dataset_BUSI_with_GT/{label}/{label} ({n})_mask.png"] = _file_of(mask)
    if layout == "release":
        content["Dataset_BUSI_with_GT/benign/benign (3)_mask_1.png"] = _file_of(lesion.T.copy())
    return content


def _isic_content(**sizes: int) -> dict[str, bytes]:
    content, number = {}, 500
    for part, n in ({"train": 6, "val": 3, "test": 4} | sizes).items():
        for _ in range(n):
            number += 1
            colour = np.stack([_scene(number), _scene(number) // 2, _scene(number) // 3], axis=2)
            mask = np.zeros((96, 96), np.uint8)
            mask[:48] = 255
            content[f"{part}/images/ISIC_{number}.jpg"] = _file_of(colour, "JPEG")
            content[f"{part}/masks/ISIC_{number}.png"] = _file_of(mask)
    return content


def _own_content(classes: tuple[str, ...] = ("cyst", "solid"), n: int = 5, prefix: str = "") -> dict[str, bytes]:
    kinds = (("jpg", "JPEG"), ("png", "PNG"))
    return {
        f"{prefix}{name}/{i}.{kinds[i % 2][0]}": _file_of(_scene(900 + 50 * place + i), kinds[i % 2][1])
        for place, name in enumerate(classes)
        for i in range(n)
    }


@pytest.fixture
def scene():
    return _scene


@pytest.fixture
def file_of():
    return _file_of


@pytest.fixture
def write_zip():
    return _write_zip


@pytest.fixture
def parts():
    return _parts


@pytest.fixture
def busi_content():
    return _busi_content


@pytest.fixture
def isic_content():
    return _isic_content


@pytest.fixture
def own_content():
    return _own_content
