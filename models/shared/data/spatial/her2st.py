"""Three sections of HER2-positive breast cancer (Andersson and others, Nature Communications 12, 6012, 2021): C3 and C4 of one patient, B4 of another.

The files' licence is not stated, so weights made from them may not be given to others.
"""

from __future__ import annotations

from pathlib import Path

from models.shared.data import DataNotHere
from models.shared.data.spatial.readers import read_legacy
from models.shared.data.spatial.record import Expression
from models.shared.paths import data_root

TITLE = "HER2-positive breast cancer, spatial transcriptomics (three sections)"
LICENCE = "not stated; development and evaluation only"
SHIPS_WEIGHTS = False
FOLDER = "her2st-sample"
TRAIN, TEST = ("B4",), ("C3", "C4")
"""By patient."""


def here() -> bool:
    """Whether the files are in the data folder."""
    return all(path.is_file() for name in (*TRAIN, *TEST) for path in _files(name))


def read(name: str) -> Expression:
    """One of the sections. DataNotHere where the files are absent."""
    counts, selection, picture = _files(name)
    if not all(path.is_file() for path in (counts, selection, picture)):
        raise DataNotHere(TITLE, FOLDER)
    return read_legacy(counts.read_bytes(), selection.read_bytes(), section=name, patient=name[0])


def picture(name: str) -> Path:
    """The section's H&E picture."""
    return _files(name)[2]


def _files(name: str) -> tuple[Path, Path, Path]:
    folder = data_root() / FOLDER
    return folder / f"{name}.tsv.gz", folder / f"{name}_selection.tsv", folder / f"{name}.jpg"
