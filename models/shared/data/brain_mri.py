"""Brain MRI in four classes, grey, 64×64 unless asked for otherwise: the whole set from a zip, or a small folder of pictures.

Source: Brain Tumor MRI Dataset (M. Nickparvar), CC0. Known deviations: reduced in size; exact copies of test pictures, which the set
holds, are taken out of training, being looked for at 64×64 whatever size is asked for; validation is cut from training.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.data import DataDamaged, DataNotHere, Dataset, SetRecord
from models.shared.paths import data_root

if TYPE_CHECKING:
    import numpy as np

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
SIDE = 64
VALIDATION = 0.15
MAX_FILE_BYTES = 4 << 20
MAX_SIDE_PX = 4096
MAX_FILES = 50_000
COUNTS = (5708, 1311)
"""Training and test pictures of the whole set."""
_ZIP = "brain-tumor-mri-128.zip"
_FOLDER = "brain-tumor-mri"
RECORD = SetRecord(
    name="brain_mri",
    title="Brain MRI, four classes (64×64)",
    licence="CC0",
    source="Brain Tumor MRI Dataset (M. Nickparvar)",
    classes=("glioma", "meningioma", "no tumour", "pituitary"),
    n=sum(COUNTS),
    ships_weights=True,
    size=SIDE,
    sizes=(16, 128),
    places=(_ZIP, f"{_FOLDER}/<class>/*.jpg"),
    obtain=(
        "Get the Brain Tumor MRI Dataset by M. Nickparvar, make its pictures grey and 128×128 with black borders where they are not square, "
        "and zip them as train/<class>/*.jpg and test/<class>/*.jpg, "
        f"where <class> is {', '.join(CLASSES)}."
    ),
)


def here() -> bool:
    """Whether the zip or the folder lies in the data folder."""
    return (data_root() / _ZIP).is_file() or _folder_files(data_root() / _FOLDER) != []


def load(size: int = SIDE) -> Dataset:
    """Pictures (N, 1, size, size) in 0…1. From the zip: its own test part of 1,311; from the folder: 60 / 20 / 20 per cent.

    Raises DataNotHere when neither is there, DataDamaged when a picture cannot be read.
    """
    if (data_root() / _ZIP).is_file():
        return _from_zip(data_root() / _ZIP, size)
    files = _folder_files(data_root() / _FOLDER)
    if not files:
        raise DataNotHere(RECORD.title, *RECORD.places)
    return _from_folder(files, size)


def check_file(path: Path) -> str:
    """The place under the data folder for this zip, after reading it whole. DataDamaged when it is not the whole set."""
    found = tuple(len(x) for x, _ in _zip_arrays(path, SIDE))
    if found != COUNTS:
        raise DataDamaged(
            f"{path.name} has {found[0]:,} training and {found[1]:,} test pictures; {COUNTS[0]:,} and {COUNTS[1]:,} were expected. "
            "It is another set or not complete; fetch the file once more."
        )
    return _ZIP


def _from_zip(path: Path, size: int) -> Dataset:
    from models.shared.data.splits import cut, rows_without_copies

    (x, y), (test_x, test_y) = _zip_arrays(path, SIDE)
    kept = rows_without_copies(x, test_x)
    dropped, copies, y = len(x) - len(kept), len(test_x) - len(rows_without_copies(test_x)), y[kept]
    if size != SIDE:
        (x, _), (test_x, _) = _zip_arrays(path, size)
    x = x[kept]
    train, check, _ = cut(y, validation=VALIDATION)
    note = (
        f"Patients are not named in the set, so training and test may share patients and scores are too good for new ones. "
        f"{dropped} training pictures were taken out as exact copies; the test part is as published, "
        f"{copies} of its pictures being copies of others in it."
    )
    return _dataset((x[train], y[train]), (x[check], y[check]), (test_x, test_y), note)


def _zip_arrays(path: Path, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures uint8 (N, size, size) and classes (N,) of the training and of the test part."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [_arrays(_zip_entries(archive, part), size) for part in ("train", "test")]
    except (zipfile.BadZipFile, OSError) as fault:
        raise DataDamaged(f"{path.name} cannot be read ({fault}). Fetch the file once more.") from fault


def _from_folder(files: list[Path], size: int) -> Dataset:
    from models.shared.data.splits import cut, rows_without_copies

    pictures = [(path.name, CLASSES.index(path.parent.name), path.read_bytes()) for path in files if _small(path)]
    x, y = _arrays(pictures, SIDE)
    kept = rows_without_copies(x)
    x, y = (x if size == SIDE else _arrays(pictures, size)[0])[kept], y[kept]
    train, check, test = ((x[rows], y[rows]) for rows in cut(y, validation=0.2, test=0.2))
    return _dataset(train, check, test, f"Only {len(y)} pictures are here, a small part of the set: good for trying, not for measuring.")


def _dataset(train: tuple, validation: tuple, test: tuple, note: str) -> Dataset:
    import numpy as np

    from models.shared.data.splits import as_split

    splits = [as_split(x[:, None] / np.float32(255), y) for x, y in (train, validation, test)]  # N 1 H W
    return RECORD.dataset(*splits, note)


def _zip_entries(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, int, bytes]]:
    """(name, class, file bytes) of every picture in `<part>/<class>/`, sorted by name so that row numbers do not depend on the zip."""
    entries = sorted(archive.infolist(), key=lambda entry: entry.filename)[:MAX_FILES]
    for entry in entries:
        folders = entry.filename.split("/")
        if len(folders) != 3 or folders[0] != part or folders[1] not in CLASSES or not folders[2].lower().endswith((".jpg", ".jpeg")):
            continue
        if entry.file_size > MAX_FILE_BYTES:
            raise DataDamaged(f"{entry.filename} unpacks to more than {MAX_FILE_BYTES >> 20} MB, too much for one picture of this set.")
        yield entry.filename, CLASSES.index(folders[1]), archive.read(entry)


def _folder_files(folder: Path) -> list[Path]:
    return sorted(path for name in CLASSES for path in (folder / name).glob("*.jp*g"))[:MAX_FILES]


def _small(path: Path) -> bool:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataDamaged(f"{path.name} is larger than {MAX_FILE_BYTES >> 20} MB, too much for one picture of this set.")
    return True


def _arrays(pictures: Iterable[tuple[str, int, bytes]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Decoded pictures uint8 (N, size, size) and classes (N,)."""
    import numpy as np

    from models.shared.data.pictures import decode

    decoded = [(decode(name, data, size=size, formats=("JPEG",), max_side=MAX_SIDE_PX), label) for name, label, data in pictures]
    if not decoded:
        raise DataDamaged(f"{RECORD.title}: no pictures found in the folders {', '.join(CLASSES)}. Fetch the set once more.")
    return np.stack([picture for picture, _ in decoded]), np.asarray([label for _, label in decoded])
