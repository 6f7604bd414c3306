"""One batch on its way from facts to pixels: the lesions of all its pictures in flat arrays. Axes: B pictures, L lesions, H, W."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.shared.data.phantoms.canvas import Array, Dice
from models.shared.data.phantoms.facts import Facts, Family, Spot
from models.shared.data.phantoms.lesions import contours, find_room, polar
from models.shared.data.phantoms.records import Lesion, Marker, Mask

Geometry = dict[str, Array]
"""Name → (B, 1, 1): the numbers that place the anatomy."""
_CANDIDATES = 192
_MOST = 3
SIDES = {"right": -1.0, "midline": 0.0, "left": 1.0}
"""Side of the patient → sign of the column's offset from the midline."""


@dataclass(frozen=True)
class Rendered:
    """What a family hands back."""

    image: Array
    """(B, H, W), not yet clipped."""
    organs: Mapping[str, Mask]
    """Name → (B, H, W)."""
    masks: Mask
    """(L, H, W), one for each lesion of the scene."""


@dataclass(frozen=True)
class Spots:
    """Planned lesions as arrays, each (L, 1, 1): what a family's `allowed` looks at."""

    side: Array
    zone: Array
    """Index into the family's zones."""
    label: Array
    """Index into the family's classes."""
    radius: Array


@dataclass(frozen=True)
class Scene:
    """The lesions of a batch, placed."""

    size: int
    geometry: Geometry
    facts: tuple[Facts, ...]
    rows: NDArray[np.int64]
    """(L,): the picture each lesion is in; lesions are sorted by picture, then order."""
    order: NDArray[np.int64]
    """(L,): 0 for a picture's first lesion …"""
    spots: tuple[Spot, ...]
    centre: NDArray[np.float32]
    """(L, 2): y, x in 0…1."""
    radius: Array
    """(L,): in 0…1 of the picture."""
    aspect: Array
    rho: Array
    """(L, H, W): below 1 inside the lesion."""
    random: Array
    """(L, 16) even in 0…1, for details of its looks."""

    def layers(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(pictures, lesions) pairs in which no picture occurs twice, so that ``image[pictures] = …`` is safe."""
        for order in range(_MOST):
            chosen = np.flatnonzero(self.order == order)
            if chosen.size:
                yield self.rows[chosen], chosen

    def of(self, names: Mapping[str, float], attribute: str) -> Array:
        """(L, 1, 1): a number for each lesion, looked up by one of its words."""
        return np.array([names[getattr(spot, attribute)] for spot in self.spots], np.float32).reshape(-1, 1, 1)

    def fill(self, softness: Array | float) -> Array:
        """(L, H, W) in 0…1: how much of a pixel the lesion covers; ``softness`` is the edge's width in 0…1 of the picture."""
        scale = self.radius[:, None, None] / np.asarray(softness, np.float32)
        return np.clip((1 - self.rho) * scale + np.float32(0.5), 0, 1)

    def picked(self, values: Array) -> Array:
        """(B, …) → (L, …): each lesion's picture."""
        return values[self.rows]


class Drawer(Protocol):
    """What the file of a family offers. To add a family: write such a file and name it in `generate._TABLE`."""

    FAMILY: Family

    def layout(self, dice: Dice) -> Geometry:
        """The numbers that place the anatomy."""

    def box(self, side: str, zone: str) -> tuple[float, float, float, float]:
        """Top, left, bottom, right in which the centre of a lesion is looked for."""

    def home(self, g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
        """Positive inside the organ a lesion of that side lies in."""

    def allowed(self, g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
        """Whether a lesion may have its centre there."""

    def render(self, scene: Scene, dice: Dice) -> Rendered:
        """The picture with its masks."""

    def marks(self, image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
        """Writes on one finished picture in place."""


def compose(drawer: Drawer, geometry: Geometry, facts: tuple[Facts, ...], dice: Dice, size: int) -> Scene:
    """Places every lesion. A second or third lesion without room is left out; a first one always stays."""
    random, tries = dice.even(_MOST, 16), dice.even(_MOST, _CANDIDATES, 2)
    placed = np.full((len(facts), _MOST, 3), -1, np.float32)  # y, x, radius; a radius below 0 means none
    for order in range(_MOST):
        rows = np.array([i for i, fact in enumerate(facts) if len(fact.spots) > order], np.int64)
        if rows.size:
            chosen = tuple(facts[i] for i in rows)
            g = {name: value[rows] for name, value in geometry.items()}
            found, room = _place(drawer, g, chosen, order, tries[rows, order], placed[rows])
            found[~(room | (order == 0)), 2] = -1
            placed[rows, order] = found
    return _assemble(geometry, facts, placed, random, size)


def _place(
    drawer: Drawer, g: Geometry, facts: tuple[Facts, ...], order: int, tries: Array, others: Array
) -> tuple[NDArray[np.float32], Mask]:
    """(n, 3) y, x and radius of the n pictures' lesions of this order, and whether there was room for each, (n,)."""
    chosen = [fact.spots[order] for fact in facts]
    spots = _as_arrays(drawer.FAMILY, chosen, [fact.kind.label for fact in facts])
    corners = np.array([drawer.box(spot.side, spot.zone) for spot in chosen], np.float32)
    low, high = corners[:, None, :2], corners[:, None, 2:]
    stretch = np.sqrt(np.array([spot.aspect for spot in chosen], np.float32))
    radius = spots.radius[:, 0, 0]
    place, room = find_room(
        lambda y, x: drawer.home(g, spots.side, y, x),
        lambda y, x: drawer.allowed(g, spots, y[..., None], x[..., None])[..., 0],
        low + tries * (high - low),
        (radius / stretch, radius * stretch),
        others,
    )
    return np.concatenate([place, radius[:, None]], axis=1), room


def _as_arrays(family: Family, spots: list[Spot], labels: list[str]) -> Spots:
    def column(values: list[float]) -> Array:
        return np.array(values, np.float32).reshape(-1, 1, 1)

    return Spots(
        side=column([SIDES[spot.side] for spot in spots]),
        zone=column([family.zones.index(spot.zone) for spot in spots]),
        label=column([family.classes.index(label) for label in labels]),
        radius=column([spot.diameter_mm / 2 / family.fov_mm for spot in spots]),
    )


def _assemble(geometry: Geometry, facts: tuple[Facts, ...], placed: NDArray[np.float32], random: Array, size: int) -> Scene:
    rows, order = np.nonzero(placed[:, :, 2] > 0)
    spots = tuple(facts[i].spots[j] for i, j in zip(rows, order, strict=True))
    aspect = np.array([spot.aspect for spot in spots], np.float32)
    centre, radius, own = placed[rows, order, :2], placed[rows, order, 2], random[rows, order]
    shape = contours([spot.margin for spot in spots], own)
    rho = polar(shape, centre, radius, aspect, size)
    return Scene(size, geometry, facts, rows, order, spots, centre, radius, aspect, rho, own)
