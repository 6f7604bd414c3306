"""BUSI: breast ultrasound in three classes, some with lesion masks, at 256×256 grey or smaller.

Source: W. Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28:104863 (2020). Read from the original release's
zip, from the reduced zip, or from a small folder. The set's numbering names no patient and it holds near copies, so it is split by
groups of near copies. Known deviations: pictures are squashed to a square; several lesions of a picture are merged into one mask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.data import DataDamaged, DataNotHere, Dataset, SetRecord
from models.shared.paths import data_root

if TYPE_CHECKING:
    import numpy as np

    from models.shared.data.archives import Member

CLASSES = ("benign", "malignant", "normal")
COUNTS = (437, 210, 133)
"""Pictures of each class in the whole set."""
SIDE = 256
"""Near copies and marks are looked for at this size, so that the split is the same at every size asked for."""
NEAR_BITS = 10
"""215 pairs of the set differ in 0 to 8 bits, 13 in 10, 14 in 12, then 56 in 14 and ever more. Of 18 pairs at 8 and 10 looked at by eye, at least 14 show the same lesion."""
VALIDATION, TEST = 0.15, 0.2
_ZIPS = ("busi-256.zip", "Dataset_BUSI_with_GT.zip")
_FOLDER = "busi-subset"
_NAME = re.compile(
    r"(?:^|/)(?P<label>benign|malignant|normal)[ _]\(?(?P<number>\d{1,6})\)?(?P<mask>_mask(?:_\d+)?)?\.(?:png|jpe?g)$", re.IGNORECASE
)
RECORD = SetRecord(
    name="busi",
    title="Breast ultrasound, three classes (BUSI)",
    licence="CC BY 4.0",
    source="BUSI (W. Al-Dhabyani et al., Data in Brief 28:104863, 2020)",
    classes=CLASSES,
    n=sum(COUNTS),
    ships_weights=True,
    size=128,
    sizes=(16, SIDE),
    places=(*_ZIPS, f"{_FOLDER}/images/*.png"),
    obtain=f"Get the release of BUSI named in W. Al-Dhabyani et al., Data in Brief 28:104863 (2020), as the zip {_ZIPS[1]}.",
)


@dataclass(frozen=True)
class Pictures:
    """The set as it lies on disk, ordered by class and number."""

    x: np.ndarray
    """uint8 (N, 256, 256)."""
    y: np.ndarray
    """int64 (N,)."""
    masks: np.ndarray
    """bool (N, 256, 256)."""
    has_mask: np.ndarray
    """bool (N,)."""


def here() -> bool:
    """Whether a zip or the folder lies in the data folder."""
    return _place() is not None


def load(size: int = 128) -> Dataset:
    """Pictures (N, 1, size, size) in 0…1 with masks, groups of near copies and marks; 65 / 15 / 20 per cent, whole groups.

    Raises DataNotHere when nothing is there, DataDamaged when a picture cannot be read.
    """
    from models.shared.data.markers import marked
    from models.shared.data.near_copies import cut_groups, group, hashes, summarise

    place = _place()
    if place is None:
        raise DataNotHere(RECORD.title, *RECORD.places)
    found = read(place)
    groups = group(hashes(found.x), within=NEAR_BITS)
    marks = marked(found.x)
    parts = cut_groups(found.y, groups, CLASSES, validation=VALIDATION, test=TEST)
    splits = [_split(found, groups, marks, rows, size) for rows in parts]
    few = f"Only {len(found.y)} pictures are here, a small part of the set: good for trying, not for measuring. " if place.is_dir() else ""
    return RECORD.dataset(*splits, f"{few}{summarise(found.y, groups).sentence()} {_marks_sentence(found.y, marks)}")


def check_file(path: Path) -> str:
    """The place under the data folder for this zip, after reading it whole. DataDamaged when it is not the whole set."""
    import numpy as np

    if path.is_dir():
        raise DataDamaged(f"{path.name} is a folder; a zip of BUSI was expected.")
    found = read(path)
    counts = tuple(np.bincount(found.y, minlength=len(CLASSES)).tolist())
    if counts != COUNTS:
        raise DataDamaged(
            f"{path.name} has {counts[0]} benign, {counts[1]} malignant and {counts[2]} normal pictures; {COUNTS[0]}, {COUNTS[1]} and "
            f"{COUNTS[2]} were expected. It is another set or not complete; fetch the file once more."
        )
    return _ZIPS[1] if found.has_mask.all() else _ZIPS[0]


def read(place: Path) -> Pictures:
    """Every picture of a zip or folder in one of the three layouts. DataDamaged when one cannot be read or none is there."""
    import numpy as np

    from models.shared.data.archives import members
    from models.shared.data.pictures import decode, decode_mask, resize, resize_masks

    with members(place) as files:
        pictures, drawn = _sorted_out(files)
        if not pictures:
            raise DataDamaged(f"{place.name} holds no pictures of BUSI, such as images/benign/benign_1.jpg. Fetch the file once more.")
        keys = sorted(pictures)
        x = np.concatenate([resize(decode(pictures[key].name, pictures[key].read())[None], SIDE) for key in keys])
        masks = np.zeros((len(keys), SIDE, SIDE), dtype=bool)
        for row, key in enumerate(keys):
            for member in drawn.get(key, ()):
                masks[row] |= resize_masks(decode_mask(member.name, member.read())[None], SIDE)[0]
    return Pictures(x, np.array([label for label, _ in keys]), masks, np.array([key in drawn for key in keys]))


def _sorted_out(files: list[Member]) -> tuple[dict[tuple[int, int], Member], dict[tuple[int, int], list[Member]]]:
    """Pictures and masks by (class, number)."""
    pictures: dict[tuple[int, int], Member] = {}
    drawn: dict[tuple[int, int], list[Member]] = {}
    for member in files:
        found = _NAME.search(member.name)
        if not found:
            continue
        key = CLASSES.index(found["label"].lower()), int(found["number"])
        if found["mask"] or "masks" in member.name.split("/")[:-1]:
            drawn.setdefault(key, []).append(member)
        else:
            pictures[key] = member
    return pictures, drawn


def _split(found: Pictures, groups: np.ndarray, marks: np.ndarray, rows: np.ndarray, size: int):
    import numpy as np

    from models.shared.data.pictures import resize, resize_masks
    from models.shared.data.splits import as_split

    x = resize(found.x[rows], size)[:, None] / np.float32(255)  # N 1 H W
    masks = resize_masks(found.masks[rows], size)  # N H W
    return as_split(x, found.y[rows], masks=masks, has_mask=found.has_mask[rows], groups=groups[rows], marked=marks[rows])


def _marks_sentence(y: np.ndarray, marks: np.ndarray) -> str:
    shares = [f"{marks[y == label].sum()} of {(y == label).sum()} {name}" for label, name in enumerate(CLASSES)]
    return (
        f"Letters or measuring crosses seem to be burnt into {', '.join(shares[:-1])} and {shares[-1]} pictures, by a rule of thumb that "
        "misses some: a model may learn the marks instead of the tissue."
    )


def _place() -> Path | None:
    for name in _ZIPS:
        if (data_root() / name).is_file():
            return data_root() / name
    folder = data_root() / _FOLDER
    return folder if any((folder / "images").glob("*.png")) else None
