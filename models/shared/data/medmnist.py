"""Reading a MedMNIST archive (28×28 grey pictures in one npz), for the modules of the single sets.

Source: MedMNIST v2, J. Yang et al., Scientific Data 10:41 (2023), CC BY 4.0. Known deviation: exact copies of held-out pictures
are taken out of the training and validation parts, so scores are not those of the published splits.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from models.shared.data import DataDamaged, DataNotHere, SetRecord, Split
from models.shared.data.splits import as_split, rows_without_copies
from models.shared.paths import data_root

PARTS = ("train", "val", "test")
MAX_PIXELS_BYTES = 64 << 20
"""Per part; the largest of our archives unpacks to 3 MB."""


def find(*file_names: str) -> Path | None:
    """The first of these files that lies in the data folder's `medmnist/`, or None."""
    return next((path for name in file_names if (path := data_root() / "medmnist" / name).is_file()), None)


def read(record: SetRecord, size: int, *file_names: str) -> tuple[Split, Split, Split, str]:
    """Training, validation and test part, x (N, 1, size, size) in 0…1, and a sentence about copies taken out.

    Raises DataNotHere when none of the files is there, DataDamaged when the first one found cannot be used.
    """
    from models.shared.data.pictures import resize

    path = find(*file_names)
    if path is None:
        raise DataNotHere(record.title, *record.places)
    arrays = {part: _part(path, part, len(record.classes)) for part in PARTS}
    test, checked = arrays["test"][0], arrays["val"][0]
    rows = {
        "train": rows_without_copies(arrays["train"][0], checked, test),
        "val": rows_without_copies(checked, test),
        "test": np.arange(len(test)),
    }
    kept = {part: (resize(x[rows[part]], size)[:, None] / np.float32(255), y[rows[part]]) for part, (x, y) in arrays.items()}  # N 1 H W
    dropped = {part: len(arrays[part][0]) - len(rows[part]) for part in ("train", "val")}
    note = f"Exact copies taken out: {dropped['train']} of the training and {dropped['val']} of the validation pictures."
    return as_split(*kept["train"]), as_split(*kept["val"]), as_split(*kept["test"]), note


def place_of(path: Path, classes: int, counts: dict[str, tuple[int, int, int]]) -> str:
    """Where under the data folder this archive belongs, by the sizes of its parts; DataDamaged when it fits none of `counts`."""
    found = tuple(len(_part(path, part, classes)[0]) for part in PARTS)
    for name, expected in counts.items():
        if found == expected:
            return f"medmnist/{name}"
    wanted = " or ".join(f"{train:,} / {check:,} / {test:,}" for train, check, test in counts.values())
    raise DataDamaged(
        f"{path.name} has {found[0]:,} / {found[1]:,} / {found[2]:,} pictures for training, validation and test; {wanted} were expected. "
        "It is another set or not complete; fetch the file once more."
    )


def _part(path: Path, part: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, 28, 28) and labels (N,) of one part, checked."""
    try:
        _refuse_bombs(path)
        with np.load(path, allow_pickle=False) as archive:
            pictures, labels = archive[f"{part}_images"], archive[f"{part}_labels"].reshape(-1)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as fault:
        raise DataDamaged(f"{path.name} cannot be read as a MedMNIST archive ({fault}). Fetch the file once more.") from fault
    good_pictures = pictures.dtype == np.uint8 and pictures.ndim == 3 and pictures.shape[1:] == (28, 28) and len(pictures) > 0
    good_labels = labels.dtype.kind in "iu" and len(labels) == len(pictures) and set(np.unique(labels)) <= set(range(classes))
    if not (good_pictures and good_labels):
        raise DataDamaged(
            f"{path.name}: expected 28×28 grey pictures with labels 0 to {classes - 1} in the {part} part, "
            f"found pictures {pictures.shape} of {pictures.dtype} and {len(labels)} labels. Fetch the file once more."
        )
    return pictures, labels


def _refuse_bombs(path: Path) -> None:
    """A small archive may unpack to any size, so the sizes it declares are looked at first."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.file_size > MAX_PIXELS_BYTES for entry in archive.infolist()):
            raise ValueError("a part unpacks to more than 64 MB")
