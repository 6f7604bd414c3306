"""Where spots lie on a slide: on a lattice of our own over the tissue, or where an assay put them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.m2ost.views import FIELD_UM
from models.shared.slides import SlideSource

SPOT_UM = 55.0
"""Diameter of a spot of our own lattice where the pitch leaves room: that of a Visium spot."""
PITCH_UM = (20.0, 1000.0)
_THUMB_PX = 1024
_LEAST_TISSUE = 0.12
_OUTSIDE = 0.5


@dataclass(frozen=True, eq=False)
class SpotGrid:
    """Spots of a slide."""

    xy: np.ndarray = field(repr=False)
    """float32 (N, 2): centres in level-0 pixels."""
    diameter: float
    """Level-0 pixels."""
    mpp: float | None = None
    """µm per level-0 pixel, where the slide itself does not say it."""


def spot_grid(source: SlideSource, *, pitch_um: float = 100.0, mpp: float | None = None) -> SpotGrid:
    """A square lattice over the tissue. ValueError with a sentence when the size of a pixel is not known or the pitch makes no sense.

    Spots on bare glass are left out, and those whose closest view lies more than half outside the slide (spec 5.6).
    """
    mpp = mpp or source.mpp
    if not mpp:
        raise ValueError("The size of a pixel is not known for this slide, so spots cannot be laid out; give it in µm a pixel.")
    if not PITCH_UM[0] <= pitch_um <= PITCH_UM[1]:
        raise ValueError(f"Spots can lie {PITCH_UM[0]:g} to {PITCH_UM[1]:g} µm apart, not {pitch_um:g}.")
    pitch = pitch_um / mpp
    columns, rows = (np.arange(pitch / 2, side, pitch) for side in (source.width, source.height))
    mask, scale = tissue_mask(source)
    xy = np.empty((0, 2), np.float32)
    if len(columns) and len(rows):
        seen = mask[np.minimum((rows / scale).astype(int), mask.shape[0] - 1)][
            :, np.minimum((columns / scale).astype(int), mask.shape[1] - 1)
        ]
        at_rows, at_columns = np.nonzero(seen)
        xy = np.stack([columns[at_columns], rows[at_rows]], 1).astype(np.float32)
    xy = xy[_mostly_inside(xy, source, FIELD_UM / mpp)]
    return SpotGrid(xy, min(SPOT_UM, 0.9 * pitch_um) / mpp, mpp)


def _mostly_inside(xy: np.ndarray, source: SlideSource, width: float) -> np.ndarray:
    left, top = np.maximum(xy - width / 2, 0).T
    right, bottom = np.minimum(xy[:, 0] + width / 2, source.width), np.minimum(xy[:, 1] + width / 2, source.height)
    return (np.maximum(right - left, 0) * np.maximum(bottom - top, 0)) / width**2 >= 1 - _OUTSIDE


def tissue_mask(source: SlideSource) -> tuple[np.ndarray, float]:
    """(bool (h, w), level-0 pixels per pixel of it): where there is tissue on a small picture of the slide.

    Stained tissue is colourful or dark; glass is neither. The threshold on saturation is Otsu's (1979), through the histogram and the
    variance between classes, held above what paper-white noise reaches; holes inside the tissue stay, specks go.
    """
    from scipy import ndimage

    scale = max(1.0, max(source.width, source.height) / _THUMB_PX)
    w, h = max(1, round(source.width / scale)), max(1, round(source.height / scale))
    small = source.read(0, 0, source.width, source.height, out=(w, h)).astype(np.float32)
    saturation = small.max(-1) - small.min(-1)
    level = min(max(_otsu(saturation) * 0.6, 12.0), 40.0)
    tissue = (saturation > level) | (small.max(-1) < 60)
    share = ndimage.uniform_filter(tissue.astype(np.float32), 5)
    return ndimage.binary_opening(share > _LEAST_TISSUE, iterations=1), scale


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold (1979) of values in 0…255."""
    counts, edges = np.histogram(values, bins=128, range=(0, 256))
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), counts.sum() - np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    means_below, means_above = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    return float(middles[np.argmax(below * above * (means_below - means_above) ** 2)])
