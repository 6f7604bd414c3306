"""Making a raster smaller by exact area averaging, also where the borders of the new pixels fall inside old ones."""

from __future__ import annotations

import numpy as np
from PIL import Image

_PILLOW_ADDS = 1 << 16
"""Pixels that Pillow's `reduce` may sum up: its sums have 32 bits, and nobody asks for more so often that it must be quick."""


def area_average(block: np.ndarray, box: tuple[float, float, float, float], out: tuple[int, int]) -> np.ndarray:
    """The part `box` = (left, top, right, bottom) of uint8 (H, W, 3), in its own pixels, as uint8 (h, w, 3) for `out` = (w, h).

    Each new pixel is the mean of the area it covers, fractions of old pixels counted as such; where it is smaller than an old one, that is
    the old one's colour. `box` must lie inside the block.
    """
    left, top, right, bottom = box
    factors = (right - left) / out[0], (bottom - top) / out[1]
    if all(float(value).is_integer() for value in (*box, *factors)) and factors[0] * factors[1] <= _PILLOW_ADDS:
        # the common case, whole numbers: Pillow averages the same pixels in C
        image = Image.fromarray(np.ascontiguousarray(block[int(top) : int(bottom), int(left) : int(right)]))
        return np.array(image.reduce((int(factors[0]), int(factors[1]))))
    rows = _averaged(block, top, bottom, out[1])  # (h, W, 3)
    columns = _averaged(rows.transpose(1, 0, 2), left, right, out[0])  # (w, h, 3)
    return np.ascontiguousarray((columns.transpose(1, 0, 2) + 0.5).astype(np.uint8))


def _averaged(block: np.ndarray, start: float, stop: float, count: int) -> np.ndarray:
    """Means of `count` equal stretches of [start, stop) along the first axis, float32."""
    edges = np.linspace(start, stop, count + 1)
    whole = np.minimum(edges.astype(np.intp), len(block) - 1)
    wide = np.uint32 if block.dtype == np.uint8 else np.float32
    # whole rows between the borders' rows, then what the borders cut off from theirs
    sums = np.add.reduceat(block[: max(whole[-1], whole[0] + 1)], np.minimum(whole[:-1], max(whole[-1] - 1, whole[0])), axis=0, dtype=wide)
    sums = sums.astype(np.float32)
    sums[whole[1:] == whole[:-1]] = 0  # reduceat gives the row itself for an empty stretch
    cut = (edges - whole).astype(np.float32).reshape((-1,) + (1,) * (block.ndim - 1)) * block[whole]
    sums += cut[1:]
    sums -= cut[:-1]
    sums /= (stop - start) / count
    return sums
