"""Brain MRI in four classes at 64×64 grey: the whole set from a zip, or a small folder of pictures.

Source: Brain Tumor MRI Dataset (M. Nickparvar), CC0. Known deviations: reduced to 64×64; exact copies of test pictures, which the
set holds, are taken out of training; validation is cut from training.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.data import DataDamaged, DataNotHere, Dataset
from models.shared.paths import data_root

if TYPE_CHECKING:
    import numpy as np

TITLE = "Brain MRI, four classes (64×64)"
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
SIDE = 64
VALIDATION = 0.15
MAX_FILE_BYTES = 4 << 20
MAX_SIDE_PX = 4096
MAX_FILES = 50_000
_ZIP = "brain-tumor-mri-128.zip"
_FOLDER = "brain-tumor-mri"


def here() -> bool:
    """Whether the zip or the folder lies in the data folder."""
    return (data_root() / _ZIP).is_file() or _folder_files(data_root() / _FOLDER) != []


def load() -> Dataset:
    """Pictures (N, 1, 64, 64) in 0…1. From the zip: its own test part of 1,311; from the folder: 60 / 20 / 20 per cent.

    Raises DataNotHere when neither is there, DataDamaged when a picture cannot be read.
    """
    if (data_root() / _ZIP).is_file():
        return _from_zip(data_root() / _ZIP)
    files = _folder_files(data_root() / _FOLDER)
    if not files:
        raise DataNotHere(TITLE, _ZIP, f"{_FOLDER}/<class>/*.jpg")
    return _from_folder(files)


def _from_zip(path: Path) -> Dataset:
    from models.shared.data.splits import cut, rows_without_copies

    try:
        with zipfile.ZipFile(path) as archive:
            known = {part: _arrays(_zip_entries(archive, part)) for part in ("train", "test")}
    except (zipfile.BadZipFile, OSError) as fault:
        raise DataDamaged(f"{path.name} cannot be read ({fault}). Fetch the file once more.") from fault
    (x, y), (test_x, test_y) = known["train"], known["test"]
    kept = rows_without_copies(x, test_x)
    dropped, x, y = len(x) - len(kept), x[kept], y[kept]
    train, check, _ = cut(y, validation=VALIDATION)
    note = (
        f"Patients are not named in the set, so training and test may share patients and scores are too good for new ones. "
        f"{dropped} training pictures were taken out as exact copies; the test part is as published, "
        f"{len(test_x) - len(rows_without_copies(test_x))} of its pictures being copies of others in it."
    )
    return _dataset((x[train], y[train]), (x[check], y[check]), (test_x, test_y), note)


def _from_folder(files: list[Path]) -> Dataset:
    from models.shared.data.splits import cut, rows_without_copies

    x, y = _arrays((path.name, CLASSES.index(path.parent.name), path.read_bytes()) for path in files if _small(path))
    kept = rows_without_copies(x)
    x, y = x[kept], y[kept]
    train, check, test = ((x[rows], y[rows]) for rows in cut(y, validation=0.2, test=0.2))
    return _dataset(train, check, test, f"Only {len(y)} pictures are here, a small part of the set: good for trying, not for measuring.")


def _dataset(train: tuple, validation: tuple, test: tuple, note: str) -> Dataset:
    import numpy as np

    from models.shared.data.splits import as_split

    splits = [as_split(x[:, None] / np.float32(255), y) for x, y in (train, validation, test)]  # N 1 64 64
    return Dataset(
        name="brain_mri",
        title=TITLE,
        kind="real",
        licence="CC0",
        source="Brain Tumor MRI Dataset (M. Nickparvar)",
        classes=("glioma", "meningioma", "no tumour", "pituitary"),
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        note=note,
    )


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


def _arrays(pictures: Iterable[tuple[str, int, bytes]]) -> tuple[np.ndarray, np.ndarray]:
    """Decoded pictures uint8 (N, 64, 64) and classes (N,)."""
    import numpy as np

    decoded = [(_decode(name, data), label) for name, label, data in pictures]
    if not decoded:
        raise DataDamaged(f"{TITLE}: no pictures found in the folders {', '.join(CLASSES)}. Fetch the set once more.")
    return np.stack([picture for picture, _ in decoded]), np.asarray([label for _, label in decoded])


def _decode(name: str, data: bytes) -> np.ndarray:
    """One JPEG as uint8 (64, 64) grey."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            if max(picture.size) > MAX_SIDE_PX:
                raise DataDamaged(f"The picture {name} is {picture.size[0]}×{picture.size[1]}, too large for this set.")
            # JPEG can be decoded at a half, a quarter or an eighth at once: the 128-pixel files arrive as 64, five times faster.
            picture.draft("L", (SIDE, SIDE))
            grey = picture.convert("L")
            return np.asarray(grey if grey.size == (SIDE, SIDE) else grey.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0))
    except (UnidentifiedImageError, OSError, ValueError) as fault:
        if isinstance(fault, DataDamaged):
            raise
        raise DataDamaged(f"The picture {name} cannot be read ({fault}). Fetch the set once more.") from fault
