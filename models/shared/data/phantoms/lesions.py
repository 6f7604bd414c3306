"""Where lesions go and what shape they take.

A contour is a radius for each direction. Its shape follows the margin's word; it is scaled so that its area is that of the circle
with the planned diameter. Axes: L lesions, A directions, K candidate places, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.shared.data.phantoms.canvas import Array, grid

_DIRECTIONS = 512
_RING = 12  # directions in which a candidate place is tried for room
_ANGLE = np.linspace(0, 2 * np.pi, _RING, endpoint=False, dtype=np.float32)
_THETA = np.linspace(-np.pi, np.pi, _DIRECTIONS, endpoint=False, dtype=np.float32)

Home = Callable[[NDArray[np.int64], NDArray[np.int64], Array, Array], Array]
"""(rows, side, y, x) → positive where a lesion of that side may lie."""


def contours(margins: list[str], random: Array) -> Array:
    """Radius in each direction, (L, A), of area π; ``random`` is (L, 16) even in 0…1."""
    shape = np.ones((len(margins), _DIRECTIONS), np.float32)
    for i, margin in enumerate(margins):
        shape[i] += _SHAPES.get(margin, _smooth)(random[i])  # what has a margin of its own family is not drawn by contour
    return shape / np.sqrt(np.mean(shape * shape, axis=1, keepdims=True))


def _waves(random: Array, first: int, amplitudes: tuple[float, ...]) -> Array:
    phases = random[: len(amplitudes)] * (2 * np.pi)
    orders = np.arange(first, first + len(amplitudes), dtype=np.float32)
    return (np.array(amplitudes, np.float32)[:, None] * np.cos(orders[:, None] * _THETA + phases[:, None])).sum(axis=0)


def _smooth(random: Array) -> Array:
    return _waves(random, 2, (0.05, 0.025))


def _lobulated(random: Array) -> Array:
    lobes = 3 + int(random[8] * 3)
    bulges = np.abs(np.cos(_THETA * (lobes / 2) + random[9] * np.pi + 0.35 * np.sin(_THETA + random[10] * 6)))
    return 0.31 * bulges + _waves(random, 2, (0.06, 0.03))


def _spiculated(random: Array) -> Array:
    spikes = 9 + int(random[8] * 6)
    wobble = 0.7 * np.sin(_THETA * 2 + random[9] * 6.28) + 0.4 * np.sin(_THETA * 3 + random[10] * 6.28)
    turn = spikes * _THETA + 2 * wobble + random[11] * 6.28
    length = 0.45 + 0.28 * np.cos(3 * _THETA + random[12] * 6.28) + 0.2 * np.cos(5 * _THETA + random[13] * 6.28)
    return length * (0.5 + 0.5 * np.cos(turn)) ** 5 + _waves(random, 2, (0.12, 0.08, 0.06))


def _ill_defined(random: Array) -> Array:
    return _waves(random, 2, (0.12, 0.08, 0.07, 0.05, 0.05, 0.04))


_SHAPES = {"smooth": _smooth, "lobulated": _lobulated, "spiculated": _spiculated, "ill-defined": _ill_defined}


def polar(shape: Array, centre: NDArray[np.float32], radius: Array, aspect: Array, size: int) -> Array:
    """Distance from the centre over the contour's radius in that direction, (L, H, W): below 1 inside.

    ``centre`` (L, 2) as y, x and ``radius`` (L,) in 0…1 of the picture; ``aspect`` (L,) width over height, at equal area.
    """
    y, x = grid(size)
    stretch = np.sqrt(aspect)[:, None, None]
    dy = (y - centre[:, 0, None, None]) * stretch
    dx = (x - centre[:, 1, None, None]) / stretch
    turn = np.arctan2(dy, dx) * np.float32(_DIRECTIONS / (2 * np.pi)) + np.float32(_DIRECTIONS / 2)
    index = np.minimum(turn.astype(np.int32), _DIRECTIONS - 1) + (np.arange(len(shape), dtype=np.int32) * _DIRECTIONS)[:, None, None]
    return np.sqrt(dy * dy + dx * dx) / (shape.ravel().take(index) * radius[:, None, None])


def find_room(
    home: Callable[[Array, Array], Array],
    allowed: Callable[[Array, Array], NDArray[np.bool_]],
    candidates: NDArray[np.float32],
    reach: tuple[Array, Array],
    others: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The first candidate place that has room, for each of L lesions.

    ``home(y, x)`` is positive inside the organ, ``allowed(y, x)`` says whether a centre may lie there; both take (L, K, …) arrays.
    ``candidates`` (L, K, 2), ``reach`` (L,) half height and half width, ``others`` (L, J, 3): y, x, radius of those already
    placed (radius below 0 for none). Returns places (L, 2) and whether there was room (L,); without room, the best of the bad.
    """
    y, x = candidates[..., 0], candidates[..., 1]
    ry, rx = reach[0][:, None, None], reach[1][:, None, None]
    around = home(y[..., None] + ry * np.sin(_ANGLE), x[..., None] + rx * np.cos(_ANGLE)).min(axis=2)  # L K
    proper = allowed(y, x)
    fits = (around > 0) & proper
    gap = np.hypot(y[..., None] - others[:, None, :, 0], x[..., None] - others[:, None, :, 1]) - others[:, None, :, 2]
    clear = gap > 1.25 * np.maximum(ry, rx)
    fits &= (clear | (others[:, None, :, 2] < 0)).all(axis=2)
    second_best = np.where(proper, around, around - 1).argmax(axis=1)
    best = np.where(fits.any(axis=1), fits.argmax(axis=1), second_best)
    rows = np.arange(len(best))
    return candidates[rows, best], fits[rows, best]
