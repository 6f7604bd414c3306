"""Drawing on whole batches: coordinate grids, soft edges, smooth noise, blurs and strokes.

Axes: B pictures, L lesions, H rows, W columns, n coarse cells, P points. Coordinates run 0…1 from the top left corner, so the
same seed shows the same scene at every size. Every function treats each picture by itself: the result does not depend on which
others are in the batch (elementwise work and one matrix product per picture), bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_STREAMS = 8  # stages of one picture, each with random numbers of its own
_UNIFORMS = 160


def stream(seed: int, family_key: int, stage: int) -> np.random.Generator:
    """The random numbers of one stage of one picture."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, family_key * _STREAMS + stage], dtype=np.uint64)))


class Dice:
    """Random numbers for a batch, each picture's from its own stream and in the order asked for."""

    def __init__(self, seeds: Sequence[int], family_key: int) -> None:
        self._table = np.stack([stream(seed, family_key, 1).random(_UNIFORMS, dtype=np.float32) for seed in seeds])
        self._fields = [stream(seed, family_key, 2) for seed in seeds]
        self._next = 0

    def uniform(self, low: float, high: float) -> Array:
        """(B, 1, 1) even between the two."""
        column = self._table[:, self._next]
        self._next += 1
        return (np.float32(low) + column * np.float32(high - low))[:, None, None]

    def normal(self, *shape: int) -> Array:
        """(B, *shape) standard normal."""
        return np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in self._fields])

    def even(self, *shape: int) -> Array:
        """(B, *shape) even in 0…1."""
        return np.stack([rng.random(shape, dtype=np.float32) for rng in self._fields])


@lru_cache(maxsize=16)
def grid(size: int) -> tuple[Array, Array]:
    """y (1, H, 1) and x (1, 1, W): pixel centres in 0…1."""
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return centres[None, :, None], centres[None, None, :]


def soft(value: Array, width: Array | float) -> Array:
    """1 where value is well above 0, 0 well below, a ramp of this width (same unit) between."""
    ramp = value * np.asarray(1.0 / np.float32(width), dtype=np.float32)
    ramp += np.float32(0.5)
    return np.clip(ramp, 0, 1, out=ramp)


def bump(value: Array, width: Array | float) -> Array:
    """A smooth bell of this half-width around 0."""
    t = value * np.asarray(1.0 / np.float32(width), dtype=np.float32)
    t *= t
    t += t * t
    t += 1
    return np.reciprocal(t, out=t)


def lay(image: Array, tone: Array | float, cover: Array) -> None:
    """Paints ``tone`` over ``image`` in place, as opaque as ``cover`` (0…1)."""
    change = tone - image
    change *= cover
    image += change


def window(image: Array, top: float, left: float, bottom: float, right: float) -> tuple[Array, Array, Array]:
    """A part of the picture as a view to paint on, with its own y (1, h, 1) and x (1, 1, w); edges in 0…1."""
    size = image.shape[-1]
    rows, columns = slice(int(top * size), int(bottom * size) + 1), slice(int(left * size), int(right * size) + 1)
    y, x = grid(size)
    return image[:, rows, columns], y[:, rows], x[:, :, columns]


def ellipse(y: Array, x: Array, cy: Array | float, cx: Array | float, ry: Array | float, rx: Array | float) -> Array:
    """Positive inside, 0 on the edge, roughly the distance to it near the edge."""
    dy, dx = (y - cy) / ry, (x - cx) / rx
    return (1 - np.sqrt(dy * dy + dx * dx)) * np.minimum(ry, rx)


def meet(a: Array, b: Array, width: float) -> Array:
    """The smaller of two, with the crease between them rounded over this width; ``-meet(-a, -b, width)`` is the larger."""
    near = np.maximum(width - np.abs(a - b), 0)
    return np.minimum(a, b) - near * near / np.float32(4 * width)


@lru_cache(maxsize=128)
def _spread(size: int, cells: int) -> Array:
    """(size, cells): weights that turn coarse values into a smooth curve of unit variance."""
    where = (np.arange(size) + 0.5) / size * cells - 0.5
    weight = np.exp(-((where[:, None] - np.arange(cells)) ** 2) / (2 * 0.55**2))
    weight /= np.sqrt((weight**2).sum(axis=1, keepdims=True))
    return weight.astype(np.float32)


def upsample(cells: Array, size: int) -> Array:
    """(B, n, m) standard normal values → (B, H, W) smooth field of about unit variance."""
    rows, columns = _spread(size, cells.shape[1]), _spread(size, cells.shape[2])
    return np.matmul(np.matmul(rows, cells), columns.T)


@lru_cache(maxsize=128)
def _kernel(size: int, sigma: float) -> Array:
    """(size, size): a Gaussian blur of ``sigma`` pixels as a matrix, edges renormalised."""
    at = np.arange(size)
    weight = np.exp(-((at[:, None] - at) ** 2) / (2 * max(sigma, 0.05) ** 2))
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def blur(picture: Array, sigma_y: float, sigma_x: float | None = None) -> Array:
    """Gaussian blur by these many pixels."""
    size = picture.shape[-1]
    columns = _kernel(size, round(sigma_y if sigma_x is None else sigma_x, 4))
    return np.matmul(np.matmul(_kernel(picture.shape[-2], round(sigma_y, 4)), picture), columns.T)


def strokes(y: Array, x: Array, weight: Array, size: int) -> Array:
    """Ink dropped at points: y, x in 0…1 and weight, all (B, P) → (B, H, W), each drop shared among its four pixels."""
    batch = y.shape[0]
    row, column = y * size - 0.5, x * size - 0.5
    r0, c0 = np.floor(row), np.floor(column)
    fr, fc = row - r0, column - c0
    base = np.arange(batch)[:, None] * (size * size)
    total = np.zeros(batch * size * size)
    for dr, dc in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rr, cc = r0.astype(np.int64) + dr, c0.astype(np.int64) + dc
        share = weight * (fr if dr else 1 - fr) * (fc if dc else 1 - fc)
        share = np.where((rr >= 0) & (rr < size) & (cc >= 0) & (cc < size), share, 0)
        index = base + np.clip(rr, 0, size - 1) * size + np.clip(cc, 0, size - 1)
        total += np.bincount(index.ravel(), weights=share.ravel(), minlength=total.size)
    return total.reshape(batch, size, size).astype(np.float32)
