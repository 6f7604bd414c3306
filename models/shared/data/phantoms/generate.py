"""From seeds to finished phantoms: facts, geometry, placement, the family's picture, marks, measures, words.

A batch is worked through in chunks that fit the processor's cache; a single phantom is a chunk of one.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Dice, stream
from models.shared.data.phantoms.facts import Facts, Family, check_wish, draw_facts
from models.shared.data.phantoms.marks import draw_cue
from models.shared.data.phantoms.records import Lesion, Mask, Phantom, PhantomBatch
from models.shared.data.phantoms.scene import Drawer, Rendered, Scene, compose
from models.shared.data.phantoms.splits import split_of
from models.shared.data.phantoms.words import captions

_TABLE = {"chest_xray": 1, "breast_ultrasound": 2, "brain_mr": 3, "liver_ct": 4}
"""Family (a file in this folder) → the number that keeps its random numbers apart; never reuse or change one."""
_CHUNK = 8
_SIZES = (64, 1024)  # below, a small lesion could fall between the pixels


def names() -> tuple[str, ...]:
    """Every family."""
    return tuple(_TABLE)


def drawer_of(name: str) -> Drawer:
    """The file that draws a family. Raises ValueError for a name that is none."""
    if name not in _TABLE:
        raise ValueError(f"There is no phantom family {name!r}; choose one of {', '.join(_TABLE)}.")
    return importlib.import_module(f"models.shared.data.phantoms.{name}")


def make(name: str, seeds: Sequence[int], size: int, shortcut: float, want: dict[str, object]) -> PhantomBatch:
    """Phantoms of these seeds. Raises ValueError for anything out of range or a wish that cannot be met."""
    drawer = drawer_of(name)
    family = drawer.FAMILY
    size = _whole(size, "size")
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise ValueError(f"A phantom of {size} pixels cannot be drawn; choose a size from {_SIZES[0]} to {_SIZES[1]}.")
    if not 0 <= shortcut <= 1:
        raise ValueError(f"The shortcut's strength is a number from 0 (none) to 1 (always), not {shortcut}.")
    wish = check_wish(family, want)
    numbers = tuple(_whole(seed, "seed") for seed in seeds)
    splits = [split_of(seed) for seed in numbers]
    facts = tuple(
        draw_facts(family, stream(seed, _TABLE[name], 0), split, shortcut, wish) for seed, split in zip(numbers, splits, strict=True)
    )
    images = np.empty((len(numbers), size, size), np.float32)
    items: list[Phantom] = []
    for start in range(0, len(numbers), _CHUNK):
        part = slice(start, start + _CHUNK)
        items += _draw(drawer, _TABLE[name], numbers[part], facts[part], images[part])
    return PhantomBatch(name, numbers, images, tuple(items), family.classes)


def _whole(value: object, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"A phantom's {what} is a whole number, not {value!r}.") from None


def _draw(drawer: Drawer, key: int, seeds: tuple[int, ...], facts: tuple[Facts, ...], images: np.ndarray) -> list[Phantom]:
    family = drawer.FAMILY
    size = images.shape[-1]
    dice = Dice(seeds, key)
    scene = compose(drawer, drawer.layout(dice), facts, dice, size)
    drawn = drawer.render(scene, dice)
    images[:] = drawn.image
    lesions = _lesions(family, scene, drawn.masks)
    return [_finish(drawer, seeds[i], facts[i], images[i], i, drawn, lesions[i]) for i in range(len(seeds))]


def _lesions(family: Family, scene: Scene, masks: Mask) -> list[tuple[Lesion, ...]]:
    """For each picture its lesions, measured on their masks."""
    spacing = family.fov_mm / scene.size
    at = np.arange(scene.size, dtype=np.int64)
    rows, columns = masks.sum(axis=2), masks.sum(axis=1)  # whole numbers: exact in any order
    area = rows.sum(axis=1)
    found: list[list[Lesion]] = [[] for _ in scene.facts]
    for i, spot in enumerate(scene.spots):
        kind = scene.facts[scene.rows[i]].kind
        centre = (float((rows[i] * at).sum() / area[i]), float((columns[i] * at).sum() / area[i]))
        found[scene.rows[i]].append(
            Lesion(
                mask=masks[i],
                kind=kind.called(spot.size),
                side=spot.side,
                zone=spot.zone,
                area=family.area,
                size=spot.size,
                margin=spot.margin,
                density=spot.density,
                centre=centre,
                diameter_mm=float(2 * np.sqrt(area[i] / np.pi) * spacing),
            )
        )
    return [tuple(group) for group in found]


def _finish(drawer: Drawer, seed: int, facts: Facts, image: np.ndarray, row: int, drawn: Rendered, lesions: tuple[Lesion, ...]) -> Phantom:
    family = drawer.FAMILY
    cue = draw_cue(image, family, facts.cue)
    markers = (*drawer.marks(image, seed, lesions), *cue)
    np.clip(image, 0, 1, out=image)
    wording = captions(family, facts, lesions)
    first = lesions[0] if lesions else None
    findings = {"label": facts.kind.label, "count": len(lesions), "cue": facts.cue}
    findings |= {key: getattr(first, key, None) for key in ("side", "zone", "size", "margin", "density")}
    return Phantom(
        family=family.name,
        seed=seed,
        image=image,
        organ=MappingProxyType({name: masks[row] for name, masks in drawn.organs.items()}),
        lesions=lesions,
        findings=MappingProxyType(findings),
        caption=wording[0],
        captions=wording,
        label=facts.kind.label,
        spacing_mm=family.fov_mm / image.shape[0],
        markers=markers,
    )
