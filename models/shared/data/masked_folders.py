"""A user's own pictures with masks, in a zip or folder: pairs of picture and mask, with or without class folders.

Layouts that are understood, each also inside one folder around everything, and each with or without a folder for every class:
- `images/<class>/a.png` with `masks/<class>/a.png` (also `masks/a.png`, and `a_mask.png` there);
- `<class>/a.png` with `<class>/a_mask.png`; also `a_mask_1.png`, `a_mask_2.png`, which are merged; `_segmentation`, `_seg` and `_gt` count as `_mask`.
A picture without a mask is kept with `has_mask` False: methods that learn from few masks use it. A black mask says that there is nothing.

A mask has two levels, black and one other, and its picture's size. A JPEG mask is cut at half brightness, for JPEG blurs it. Everything else
is refused in one sentence. Known deviations: pictures and masks are squashed to a square; near copies stay in one part, as in `folders.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from models.shared.data import DataDamaged, Dataset, SetRecord
from models.shared.data.archives import Limits, Member, members
from models.shared.data.folders import LIMITS, MAX_CLASSES, MAX_KEPT_BYTES, MIN_PER_CLASS, NEAR_BITS, Decoder

if TYPE_CHECKING:
    import numpy as np

NAME = "own_masked_pictures"
ONE_CLASS = "picture"
"""What the only class is called where there are no class folders."""
MIN_DRAWN = 6
"""Pictures with something drawn on their mask: some for each of the three parts."""
VALIDATION, TEST = 0.2, 0.2
_HASH_SIDE = 128
_PICTURES = (".png", ".jpg", ".jpeg")
_IMAGES = ("images", "image", "imgs", "img", "pictures")
_MASKS = ("masks", "mask", "segmentations", "segmentation", "annotations", "ground_truth", "groundtruth", "gt")
_MASK_NAME = re.compile(r"^(?P<stem>.+?)[ _-](?:mask|segmentation|seg|gt)(?:[ _-]?\d{1,3})?$", re.IGNORECASE)


@dataclass(eq=False)
class _Pair:
    """A picture and the masks that belong to it."""

    label: str
    picture: Member
    masks: list[Member] = field(default_factory=list)


def load(
    path: Path,
    *,
    size: int = 128,
    mode: Literal["L", "RGB"] = "L",
    decode: Decoder | None = None,
    decodes: tuple[str, ...] = (".dcm",),
    limits: Limits = LIMITS,
) -> Dataset:
    """Pictures (N, 1 or 3, size, size) in 0…1 with masks (N, size, size) and `has_mask`, cut 60 / 20 / 20 per cent by groups of near copies.

    The classes are the class folders in alphabetical order, or `ONE_CLASS` alone. Each part holds every class and a drawn mask. `decode` reads
    pictures and masks whose names end in one of `decodes`. Raises DataDamaged, in one sentence naming the file, for anything that cannot be
    used; ValueError for a size outside 16…512.
    """
    import numpy as np

    from models.shared.data.near_copies import cut_groups, group, hashes, summarise
    from models.shared.data.splits import as_split

    if not 16 <= size <= 512:
        raise ValueError(f"Pictures with masks can be had at 16 to 512 pixels a side, not at {size}.")
    decodes = decodes if decode else ()
    gzipped = tuple(ending for ending in decodes if ending.endswith(".gz"))  # the caller's decoder unpacks these within its own limits
    with members(Path(path), replace(limits, packed=(*limits.packed, *gzipped))) as files:
        pairs, left_out = _paired(files, decodes)
        names = _check_pairs(pairs, size * size * (len(mode) + 1) + _HASH_SIDE**2)
        read = [_pixels(pair, mode, size, decode, decodes) for pair in pairs]
    x, masks, small, drawn = (np.stack([row[i] for row in read]) for i in range(4))  # N H W (3), N H W, N 128 128, N
    has_mask = np.array([bool(pair.masks) for pair in pairs])
    if drawn.sum() < MIN_DRAWN:
        raise DataDamaged(
            f"Only {drawn.sum()} pictures have something drawn on their mask; at least {MIN_DRAWN} are needed. Add pictures with drawn masks."
        )
    y = np.array([names.index(pair.label) for pair in pairs])
    groups = group(hashes(small), within=NEAR_BITS)
    strata, called = _strata(y, np.where(drawn, 2, has_mask.astype(int)), groups, names)
    parts = cut_groups(strata, groups, called, validation=VALIDATION, test=TEST)
    _check_parts(parts, drawn)
    pictures = (x[:, None] if mode == "L" else x.transpose(0, 3, 1, 2)) / np.float32(255)  # N C H W
    splits = [as_split(pictures[rows], y[rows], masks=masks[rows], has_mask=has_mask[rows], groups=groups[rows]) for rows in parts]
    note = _masks_sentence(has_mask, drawn) + " " + summarise(y, groups).sentence()
    return _record(names, len(y), size).dataset(*splits, note + (f" Files of other kinds were left out: {left_out}." if left_out else ""))


def _record(names: tuple[str, ...], n: int, size: int) -> SetRecord:
    return SetRecord(
        name=NAME,
        title="Own pictures with masks",
        licence="not known",
        source="given by the user",
        classes=names,
        n=n,
        ships_weights=False,
        size=size,
        sizes=(16, 512),
    )


def _masks_sentence(has_mask: np.ndarray, drawn: np.ndarray) -> str:
    return (
        f"Of {len(has_mask)} pictures {drawn.sum()} have something drawn on their mask, {(has_mask & ~drawn).sum()} have a black mask and "
        f"{(~has_mask).sum()} have none."
    )


# ---------------------------------------------------------------------- which file is what
def _paired(files: list[Member], decodes: tuple[str, ...]) -> tuple[list[_Pair], int]:
    """Pairs in the order of class and name, and how many files were neither pictures nor masks."""
    wanted = [member for member in files if member.name.lower().endswith((*_PICTURES, *decodes))]
    places = _without_common_folder([PurePosixPath(member.name).parts for member in wanted])
    by_folder = any(_role(parts) == "mask" for parts in places)
    pairs: dict[tuple[str, str], _Pair] = {}
    masks: list[tuple[str, str, Member]] = []
    for member, parts in zip(wanted, places, strict=True):
        folders = [name for name in parts[:-1] if not by_folder or name.lower() not in (*_IMAGES, *_MASKS)]
        if len(folders) > 1:
            raise DataDamaged(f"{member.name} lies too deep. Put pictures into images/<class>/ and masks into masks/<class>/, no deeper.")
        label, stem = folders[0] if folders else "", _stem(parts[-1])
        if _role(parts) == "mask" if by_folder else _MASK_NAME.match(stem):
            masks.append((label, stem, member))
        elif (label, stem) in pairs:
            raise DataDamaged(f"{member.name} and {pairs[label, stem].picture.name} have the same name; keep one, or rename it.")
        else:
            pairs[label, stem] = _Pair(label, member)
    for label, stem, member in masks:
        _owner(pairs, label, stem, member.name).masks.append(member)
    return [pairs[key] for key in sorted(pairs)], len(files) - len(wanted)


def _without_common_folder(places: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Paths less the one folder around everything, as packing a folder makes it; a lone class folder is no such one."""
    tops = {parts[0] for parts in places}
    if len(tops) == 1 and all(len(parts) > 2 for parts in places) and tops.isdisjoint((*_IMAGES, *_MASKS)):
        return [parts[1:] for parts in places]
    return places


def _stem(name: str) -> str:
    """The name without its ending; ".nii.gz" is one ending."""
    return PurePosixPath(name.removesuffix(".gz")).stem


def _role(parts: tuple[str, ...]) -> str:
    return "mask" if any(name.lower() in _MASKS for name in parts[:-1]) else "picture"


def _owner(pairs: dict[tuple[str, str], _Pair], label: str, stem: str, name: str) -> _Pair:
    """The picture a mask belongs to: of the same class and name; in another folder, when only one has the name."""
    match = _MASK_NAME.match(stem)
    for wanted in (stem, match["stem"]) if match else (stem,):
        if (label, wanted) in pairs:
            return pairs[label, wanted]
        found = [pair for (_, other), pair in pairs.items() if other == wanted and not label]
        if len(found) == 1:
            return found[0]
    raise DataDamaged(
        f"The mask {name} belongs to no picture. Give both the same name, in images/ and masks/, or call the mask of a.png a_mask.png."
    )


def _check_pairs(pairs: list[_Pair], bytes_each: int) -> tuple[str, ...]:
    """The classes; DataDamaged when these pairs cannot make a set."""
    if not any(pair.masks for pair in pairs):
        raise DataDamaged(
            f"{len(pairs)} pictures and no masks were found. Put PNG masks of the same names into masks/ beside images/, or beside the pictures as a_mask.png."
        )
    labels = sorted({pair.label for pair in pairs})
    if len(labels) > 1 and "" in labels:
        lone = next(pair.picture.name for pair in pairs if not pair.label)
        raise DataDamaged(f"{lone} lies in no class folder while others do. Put every picture into a class folder, or none.")
    if len(labels) > MAX_CLASSES:
        raise DataDamaged(f"There are {len(labels)} class folders, more than the {MAX_CLASSES} allowed. Use fewer classes.")
    for label in labels:
        n = sum(pair.label == label for pair in pairs)
        if n < MIN_PER_CLASS:
            of = f"The class {label} has" if label else "There are"
            raise DataDamaged(f"{of} {n} pictures; at least {MIN_PER_CLASS} are needed. Add some, or leave the class out.")
    if len(pairs) * bytes_each > MAX_KEPT_BYTES:
        raise DataDamaged(f"{len(pairs):,} pictures at this size take more than {MAX_KEPT_BYTES >> 20} MB. Use fewer, or a smaller size.")
    if len(labels) == 1:  # one class folder tells nothing apart
        for pair in pairs:
            pair.label = ONE_CLASS
        return (ONE_CLASS,)
    return tuple(labels)


# ---------------------------------------------------------------------- pixels
def _pixels(
    pair: _Pair, mode: Literal["L", "RGB"], size: int, decode: Decoder | None, decodes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Picture uint8, mask bool, grey for near copies, and whether anything is drawn."""
    import numpy as np

    from models.shared.data import pictures

    name = pair.picture.name
    values = _values(pair.picture, mode, decode, decodes)
    mask = np.zeros(values.shape[:2], dtype=bool)
    for member in pair.masks:
        one = _mask(member, decode, decodes)
        if one.shape != mask.shape:
            raise DataDamaged(
                f"The mask {member.name} is {one.shape[1]}×{one.shape[0]}, its picture {values.shape[1]}×{values.shape[0]}. Save the mask at the picture's size."
            )
        mask |= one
    picture = pictures.as_array(name, values, mode=mode, size=size)
    grey = pictures.as_array(name, values, mode="L", size=_HASH_SIDE)
    return picture, pictures.resize_masks(mask[None], size)[0], grey, bool(mask.any())


def _values(member: Member, mode: Literal["L", "RGB"], decode: Decoder | None, decodes: tuple[str, ...]) -> np.ndarray:
    """A file's pixels at its own size, (H, W) or (H, W, 3)."""
    import numpy as np

    from models.shared.data import pictures

    if decode is None or not member.name.lower().endswith(decodes):
        return pictures.decode(member.name, member.read(), mode=mode)
    try:
        return np.asarray(decode(member.read(), member.name))
    except ValueError as fault:
        raise DataDamaged(f"{member.name}: {fault}") from fault


def _mask(member: Member, decode: Decoder | None, decodes: tuple[str, ...]) -> np.ndarray:
    """A mask file as bool (H, W); DataDamaged for one that is no black-and-white picture."""
    import numpy as np

    values = _values(member, "RGB", decode, decodes)
    if values.dtype.kind == "f":
        values = (values * 255).round()
    colours = np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values  # H W 3
    blurred = member.name.lower().endswith((".jpg", ".jpeg"))
    if np.ptp(colours.astype(np.int16), axis=2).max() > (24 if blurred else 0) and _levels(colours) > 2:
        raise DataDamaged(f"The mask {member.name} is a colour picture. Save it black where there is nothing and white where there is.")
    grey = colours.max(axis=2)
    if blurred:
        return grey > 127
    levels = np.unique(grey)
    if len(levels) > 2 or (len(levels) == 2 and levels[0] != 0):
        raise DataDamaged(
            f"The mask {member.name} holds {len(levels)} grey levels; expected black and one other. Save one mask for each structure, as a_mask_1.png and a_mask_2.png, or merge them."
        )
    return grey > 0


def _levels(colours: np.ndarray) -> int:
    import numpy as np

    return len(np.unique(colours.reshape(-1, 3), axis=0))


# ---------------------------------------------------------------------- parts
def _strata(y: np.ndarray, state: np.ndarray, groups: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """What is dealt out evenly: class by whether something is drawn (2), the mask is black (1) or missing (0).

    A kind with fewer than three groups of near copies is put with its class's commonest, so that it alone refuses nothing.
    """
    import numpy as np

    kinds = y * 3 + state
    for label in range(len(names)):
        inside = np.unique(kinds[y == label])
        n = {kind: len(np.unique(groups[kinds == kind])) for kind in inside.tolist()}
        commonest = max(n, key=lambda kind: n[kind])
        for kind, count in n.items():
            if count < 3:
                kinds[kinds == kind] = commonest
    present, numbers = np.unique(kinds, return_inverse=True)
    return numbers, tuple(names[kind // 3] for kind in present.tolist())


def _check_parts(parts: tuple[np.ndarray, np.ndarray, np.ndarray], drawn: np.ndarray) -> None:
    for rows, what in zip(parts, ("training", "validation", "test"), strict=True):
        if not drawn[rows].any():
            raise DataDamaged(
                f"No picture with a drawn mask was left for the {what} part: too many of them are near copies of each other. Add different pictures with masks."
            )
