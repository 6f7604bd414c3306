"""What is to be drawn, before any pixel: the class, the lesions and the cue. One table (`Kind`) per class says what may appear.

A held-out combination is a (side, zone, margin, density) that only the ``unseen`` split draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from models.shared.data.phantoms.splits import CUED

Combination = tuple[str, str, str, str]
WANTS = ("label", "count", "side", "zone", "lesion_size", "margin", "density")
_PINNED = ("side", "zone", "margin", "density")
_FIRST_HELD_OUT, _HELD_OUT_EVERY = 3, 7  # seven divides no product of the numbers of values: the pick runs through all of them


@dataclass(frozen=True)
class Kind:
    """What the lesions of one class may look like."""

    label: str
    noun: str = ""
    small_noun: str = ""
    """What a small one is called, where that differs."""
    places: tuple[tuple[str, str], ...] = ()
    """(side, zone) pairs."""
    margins: tuple[str, ...] = ()
    densities: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ("small", "medium", "large")
    counts: tuple[int, ...] = (0,)
    """Drawn evenly; repeat a number to make it more likely."""
    aspect: tuple[float, float] = (0.9, 1.15)
    """Width over height."""
    placed: bool = True
    """False for what fills a part of the organ and has no free place (an effusion)."""

    def called(self, size: str) -> str:
        """The noun for a lesion of this size."""
        return self.small_noun if size == "small" and self.small_noun else self.noun


@dataclass(frozen=True, eq=False)
class Family:
    """One modality: its words and the classes it can draw."""

    name: str
    title: str
    modality: str
    """How a caption begins."""
    fov_mm: float
    """Width and height of the picture."""
    area: str
    zones: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sizes_mm: Mapping[str, tuple[float, float]]
    """Size → smallest and largest diameter drawn; a mask may differ by one pixel's width."""
    cue: str
    """What carries the shortcut: "tag", "gain" or "border"."""
    cue_texts: tuple[str, ...] = ()
    signs: tuple[tuple[str, str], ...] = ()
    """(margin or density, what it brings along in words), for what a reader sees beside the lesion itself."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of `PhantomBatch.labels`."""
        return tuple(kind.label for kind in self.kinds)


@dataclass(frozen=True)
class Spot:
    """One lesion as planned."""

    side: str
    zone: str
    size: str
    margin: str
    density: str
    diameter_mm: float
    aspect: float


@dataclass(frozen=True)
class Facts:
    """One picture as planned."""

    kind: Kind
    spots: tuple[Spot, ...]
    cue: int
    """Index of a class: the class itself where the shortcut works, any where not."""


def combinations(kind: Kind) -> tuple[Combination, ...]:
    """Every (side, zone, margin, density) a class allows."""
    return tuple((*place, margin, density) for place, margin, density in product(kind.places, kind.margins, kind.densities))


@lru_cache(maxsize=32)
def held_out_of(family: Family) -> frozenset[Combination]:
    """The combinations kept for the unseen split: an even pick in which every single value also occurs outside."""
    picked: set[Combination] = set()
    for kind in family.kinds:
        if not kind.placed or len(kind.places) < 2:
            continue
        picked.update(combinations(kind)[_FIRST_HELD_OUT::_HELD_OUT_EVERY])
    return frozenset(picked)


@lru_cache(maxsize=512)
def _choices(family: Family, unseen: bool, want: tuple[tuple[str, object], ...]) -> tuple[tuple[Kind, tuple[Combination, ...]], ...]:
    """The classes, each with the combinations, that fit a wish and a split."""
    wish = dict(want)
    held = held_out_of(family)
    lesion_wishes = [key for key in WANTS[2:] if key in wish]
    pinned = all(key in wish for key in _PINNED)
    found = []
    for kind in family.kinds:
        if wish.get("label", kind.label) != kind.label or wish.get("count", kind.counts[0]) not in kind.counts:
            continue
        fits = tuple(
            combo
            for combo in combinations(kind)
            if all(wish.get(key, value) == value for key, value in zip(_PINNED, combo, strict=True))
            and (pinned or (combo in held) == unseen)
        )
        if kind.counts == (0,) and not lesion_wishes and (not unseen or "label" in wish):
            found.append((kind, ()))
        elif fits and wish.get("lesion_size", kind.sizes[0]) in kind.sizes:
            found.append((kind, fits))
    return tuple(found)


def check_wish(family: Family, want: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """The wish as a sorted tuple. Raises ValueError in a plain sentence for an unknown key or value."""
    known: dict[str, set[object]] = {
        "label": set(family.classes),
        "count": {count for kind in family.kinds for count in kind.counts},
        "side": {place[0] for kind in family.kinds for place in kind.places},
        "zone": {place[1] for kind in family.kinds for place in kind.places},
        "lesion_size": {size for kind in family.kinds for size in kind.sizes},
        "margin": {margin for kind in family.kinds for margin in kind.margins},
        "density": {density for kind in family.kinds for density in kind.densities},
    }
    for key, value in want.items():
        if key not in known:
            raise ValueError(f"A {family.title} cannot be asked for by {key!r}; it can by {', '.join(WANTS)}.")
        if not any(type(value) is type(option) and value == option for option in known[key]):
            options = ", ".join(str(option) for option in sorted(known[key], key=str))
            raise ValueError(f"A {family.title} has no {key} {value!r}; choose one of: {options}.")
    return tuple(sorted(want.items()))


def draw_facts(family: Family, rng: np.random.Generator, split: str, shortcut: float, want: tuple[tuple[str, object], ...] = ()) -> Facts:
    """The plan of one picture. Raises ValueError when no class fits the wish."""
    choices = _choices(family, split == "unseen", want)
    if not choices:
        asked = ", ".join(f"{key} {value}" for key, value in want)
        raise ValueError(
            f"No {family.title} of the {split} split has all of this together: {asked}. Ask for less, or give all of side, zone, margin and density."
        )
    follow, free = rng.random(2)
    kind, combos = choices[rng.integers(len(choices))]
    spots = _draw_spots(family, rng, kind, combos, dict(want)) if combos else ()
    classes = family.classes
    cue = classes.index(kind.label) if split in CUED and follow < shortcut else int(free * len(classes))
    return Facts(kind, spots, cue)


def _draw_spots(
    family: Family, rng: np.random.Generator, kind: Kind, combos: tuple[Combination, ...], wish: Mapping[str, object]
) -> tuple[Spot, ...]:
    # The wish and the held-out rule shape the first lesion; further ones stand elsewhere and show seen combinations only.
    count = int(wish["count"]) if "count" in wish else kind.counts[rng.integers(len(kind.counts))]
    spots = [_draw_spot(family, rng, kind, combos[rng.integers(len(combos))], wish.get("lesion_size"))]
    while len(spots) < count:
        taken = {(spot.side, spot.zone) for spot in spots}
        seen = [c for c in combinations(kind) if c[:2] not in taken and c not in held_out_of(family)]
        spots.append(_draw_spot(family, rng, kind, seen[rng.integers(len(seen))], None, largest="medium"))
    return tuple(spots)


def _draw_spot(family: Family, rng: np.random.Generator, kind: Kind, combo: Combination, size: object, largest: str = "large") -> Spot:
    sizes = [s for s in kind.sizes if largest == "large" or s != "large"]
    chosen = str(size) if size else sizes[rng.integers(len(sizes))]
    low, high = family.sizes_mm[chosen]
    side, zone, margin, density = combo
    return Spot(side, zone, chosen, margin, density, float(rng.uniform(low, high)), float(rng.uniform(*kind.aspect)))
