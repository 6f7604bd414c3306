"""A user's own pictures: one folder per class, in a folder or a zip, PNG and JPEG here, other kinds through the caller's decoder.

Known deviations: pictures are squashed to a square. Near copies are kept in one part, as in `busi.py`, with a stricter limit, for slices
of different patients look alike too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from models.shared.data import DataDamaged, Dataset, SetRecord
from models.shared.data.archives import Limits, Member, members

if TYPE_CHECKING:
    import numpy as np

NAME = "own_pictures"
MIN_PER_CLASS = 4
MAX_CLASSES = 64
MAX_KEPT_BYTES = 1 << 29
"""Of decoded pictures, as uint8."""
NEAR_BITS = 4
LIMITS = Limits()
_HASH_SIDE = 128
"""Near copies are looked for at this size, so that the split is the same at every size asked for."""
_PICTURES = (".png", ".jpg", ".jpeg")
Decoder = Callable[[bytes, str], "np.ndarray"]
"""File bytes and name to pixels (H, W) or (H, W, 3), uint8 or floats in 0…1; ValueError, in one sentence, when it cannot."""


def load(
    path: Path,
    *,
    size: int = 128,
    mode: Literal["L", "RGB"] = "L",
    decode: Decoder | None = None,
    decodes: tuple[str, ...] = (".dcm",),
    limits: Limits = LIMITS,
) -> Dataset:
    """A folder or zip of class folders as pictures (N, 1 or 3, size, size) in 0…1, cut 60 / 20 / 20 per cent by groups of near copies.

    The classes are the folders' names in alphabetical order; one folder around them all is looked through. `decode` reads files
    whose names end in one of `decodes` (PNG and JPEG too, where they are among them). Files of other kinds are left out and counted in
    the note. Raises DataDamaged, in one sentence, for anything that cannot be used; ValueError for a size outside 8…512.
    """
    import numpy as np

    from models.shared.data.near_copies import cut_groups, group, hashes, summarise
    from models.shared.data.splits import as_split

    if not 8 <= size <= 512:
        raise ValueError(f"Pictures can be had at 8 to 512 pixels a side, not at {size}.")
    with members(Path(path), limits) as files:
        by_class, left_out = _sorted_out(files, decodes if decode else ())
        _check_classes(by_class, size * size * len(mode) + _HASH_SIDE**2)
        names = tuple(sorted(by_class))
        decoded = [_pixels(member, mode, size, decode, decodes) for name in names for member in by_class[name]]
    x = np.stack([picture for picture, _ in decoded])  # N H W or N H W 3
    y = np.repeat(np.arange(len(names)), [len(by_class[name]) for name in names])
    groups = group(hashes(np.stack([small for _, small in decoded])), within=NEAR_BITS)
    parts = cut_groups(y, groups, names, validation=0.2, test=0.2)
    pictures = (x[:, None] if mode == "L" else x.transpose(0, 3, 1, 2)) / np.float32(255)  # N C H W
    note = summarise(y, groups).sentence() + (f" Files of other kinds were left out: {left_out}." if left_out else "")
    return _record(names, len(y), size).dataset(*(as_split(pictures[rows], y[rows], groups=groups[rows]) for rows in parts), note)


def _record(names: tuple[str, ...], n: int, size: int) -> SetRecord:
    return SetRecord(
        name=NAME,
        title="Own pictures",
        licence="not known",
        source="given by the user",
        classes=names,
        n=n,
        ships_weights=False,
        size=size,
        sizes=(8, 512),
    )


def _sorted_out(files: list[Member], decodes: tuple[str, ...]) -> tuple[dict[str, list[Member]], int]:
    """Pictures by class folder, and how many files were no pictures."""
    wanted = [member for member in files if member.name.lower().endswith((*_PICTURES, *decodes))]
    places = [PurePosixPath(member.name).parts for member in wanted]
    if len({parts[0] for parts in places}) == 1 and all(len(parts) == 3 for parts in places):
        places = [parts[1:] for parts in places]  # one folder around all classes, as packing a folder makes it
    by_class: dict[str, list[Member]] = {}
    for member, parts in zip(wanted, places, strict=True):
        if len(parts) != 2:
            where = "lies in no class folder" if len(parts) < 2 else "lies too deep"
            raise DataDamaged(f"The picture {member.name} {where}. Make one folder for each class and put the pictures right into them.")
        by_class.setdefault(parts[0], []).append(member)
    return by_class, len(files) - len(wanted)


def _check_classes(by_class: dict[str, list[Member]], bytes_each: int) -> None:
    if len(by_class) < 2:
        raise DataDamaged(
            f"Pictures were found for {len(by_class)} classes; at least 2 are needed. Make one folder of PNG or JPEG files for each class."
        )
    if len(by_class) > MAX_CLASSES:
        raise DataDamaged(f"There are {len(by_class)} class folders, more than the {MAX_CLASSES} allowed. Use fewer classes.")
    for name, found in by_class.items():
        if len(found) < MIN_PER_CLASS:
            raise DataDamaged(
                f"The class {name} has {len(found)} pictures; at least {MIN_PER_CLASS} are needed. Add some, or leave the class out."
            )
    total = sum(len(found) for found in by_class.values())
    if total * bytes_each > MAX_KEPT_BYTES:
        raise DataDamaged(
            f"{total:,} pictures at this size take more than {MAX_KEPT_BYTES >> 20} MB. Use fewer pictures, or a smaller size."
        )


def _pixels(
    member: Member, mode: Literal["L", "RGB"], size: int, decode: Decoder | None, decodes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The picture as uint8 (size, size) or (size, size, 3), and grey at the side where near copies are looked for."""
    from models.shared.data import pictures

    name, data = member.name, member.read()
    if decode is None or not name.lower().endswith(decodes):
        return pictures.decode(name, data, mode=mode, size=size), pictures.decode(name, data, size=_HASH_SIDE)
    try:
        values = decode(data, name)
    except ValueError as fault:
        raise DataDamaged(f"{name}: {fault}") from fault
    return pictures.as_array(name, values, mode=mode, size=size), pictures.as_array(name, values, mode="L", size=_HASH_SIDE)
