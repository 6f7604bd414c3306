"""ISIC 2018, task 1: dermoscopy of skin lesions with a mask for each picture, in colour, at 256×256 or smaller.

Source: N. Codella et al., "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv 1902.03368. Non-commercial: for training and
measuring on one's own machine; no weights made from it are shipped. Known deviations: a reduced set at 256 pixels, squashed to a
square; training and validation pictures with a near copy in a held-out part are taken out, the test part is left whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.shared.data import DataDamaged, DataNotHere, Dataset, SetRecord
from models.shared.paths import data_root

if TYPE_CHECKING:
    import numpy as np

    from models.shared.data.archives import Member

PARTS = ("train", "val", "test")
COUNTS = (1600, 400, 594)
NEAR_BITS = 4
"""Of the pairs this near across the parts, about half are seen by eye to be one lesion; the others cost a training picture each."""
_ZIP = "isic2018-task1-256.zip"
_NAME = re.compile(r"^(?P<part>train|val|test)/(?P<what>images|masks)/(?P<id>[A-Za-z0-9_]{1,64})\.(?:jpe?g|png)$")
RECORD = SetRecord(
    name="isic2018",
    title="Skin lesions with masks (ISIC 2018, task 1)",
    licence="for non-commercial use only",
    source="ISIC 2018 task 1 (N. Codella et al., arXiv 1902.03368), reduced",
    classes=("skin lesion",),
    n=sum(COUNTS),
    ships_weights=False,
    size=128,
    sizes=(16, 256),
    places=(_ZIP,),
    obtain=(
        "Get the pictures and masks of ISIC 2018 task 1 from the challenge's own page and make a zip of them at 256×256 as "
        "train/images/<id>.jpg, train/masks/<id>.png and likewise for val and test."
    ),
)


def here() -> bool:
    """Whether the zip lies in the data folder."""
    return (data_root() / _ZIP).is_file()


def load(size: int = 128) -> Dataset:
    """1,600 / 400 / 594 pictures less near copies, (N, 3, size, size) in 0…1, each with its mask; one class.

    At 128 pixels they take 0.6 GB, at 256 four times as much. Raises DataNotHere for the absent zip, DataDamaged for one that
    cannot be used.
    """
    import numpy as np

    from models.shared.data.near_copies import hashes, rows_without_near_copies
    from models.shared.data.splits import as_split

    if not here():
        raise DataNotHere(RECORD.title, *RECORD.places)
    parts = _read(data_root() / _ZIP, size)
    train, check, test = (hashes(small) for _, _, small in parts)
    kept = (
        rows_without_near_copies(train, check, test, within=NEAR_BITS),
        rows_without_near_copies(check, test, within=NEAR_BITS),
        np.arange(len(test)),
    )
    splits = []
    for (x, masks, _), rows in zip(parts, kept, strict=True):
        colour = np.ascontiguousarray(x[rows].transpose(0, 3, 1, 2)) / np.float32(255)  # N 3 H W; in order while it is small
        drawn = np.ones(len(rows), dtype=bool)
        splits.append(as_split(colour, np.zeros(len(rows)), masks=masks[rows], has_mask=drawn))
    dropped = [len(part[0]) - len(rows) for part, rows in zip(parts, kept, strict=True)]
    note = (
        f"Non-commercial: weights made from it stay on this machine. {dropped[0]} training and {dropped[1]} validation pictures were taken "
        "out as near copies of held-out ones. The set is reduced, so do not compare with published scores."
    )
    return RECORD.dataset(*splits, note)


def check_file(path: Path) -> str:
    """The place under the data folder for this zip, after reading it whole. DataDamaged when it is not the whole set."""
    found = tuple(len(x) for x, _, _ in _read(path, 32))
    if found != COUNTS:
        raise DataDamaged(
            f"{path.name} has {found[0]:,} / {found[1]:,} / {found[2]:,} pictures for training, validation and test; {COUNTS[0]:,} / "
            f"{COUNTS[1]:,} / {COUNTS[2]:,} were expected. It is another set or not complete; fetch the file once more."
        )
    return _ZIP


def _read(path: Path, size: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each part: pictures uint8 (N, size, size, 3), masks bool (N, size, size) and, for near copies, grey uint8 (N, 64, 64)."""
    from models.shared.data.archives import members

    with members(path) as files:
        by_place = {(found["part"], found["what"], found["id"]): member for member in files if (found := _NAME.match(member.name))}
        return [_part(path.name, part, by_place, size) for part in PARTS]


def _part(archive: str, part: str, by_place: dict[tuple[str, str, str], Member], size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    from models.shared.data.pictures import decode, decode_mask, resize_masks

    ids = {what: sorted(id for at, kind, id in by_place if (at, kind) == (part, what)) for what in ("images", "masks")}
    if not ids["images"] or ids["images"] != ids["masks"]:
        raise DataDamaged(
            f"{archive} has {len(ids['images'])} pictures and {len(ids['masks'])} masks in {part}/; each picture needs a mask of the same name. "
            "Fetch the file once more."
        )

    def decoded(what: str, id: str, mode: Literal["L", "RGB"], side: int) -> np.ndarray:
        member = by_place[part, what, id]
        return decode(member.name, member.read(), mode=mode, size=side)

    x = np.stack([decoded("images", id, "RGB", size) for id in ids["images"]])
    small = np.stack([decoded("images", id, "L", 64) for id in ids["images"]])
    masks = [by_place[part, "masks", id] for id in ids["masks"]]
    drawn = [resize_masks(decode_mask(member.name, member.read())[None], size)[0] for member in masks]
    return x, np.stack(drawn), small
