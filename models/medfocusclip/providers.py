"""Mask providers: whoever can say where things are on a picture, behind one call `propose(picture) -> list of segments` (spec, §8).

- `Sam2Provider`: SAM 2's automatic segments from a grid of points (Ravi et al. 2024), the paper's own way.
- `ClassicalProvider`: the same without a network, for where no weights are: from each grid point a region grows at two tolerances; regions that
  hardly change are kept. A surrogate of ours (inferred), and called so on the screen.
- `UserProvider`: regions that a person drew.
- `OracleProvider`: the true structures of a phantom, the upper bound of any segmenter.

A candidate is kept when score and stability reach their thresholds; of two whose boxes overlap more than `overlap`, the one of lower score goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.medfocusclip.options import OptionRefused
from models.medfocusclip.painting import as_rgb, check_masks
from models.medfocusclip.segments import Segment, make_segment

if TYPE_CHECKING:
    from models.shared.backbones.segmenter.wrapper import Sam2

Progress = Callable[[int, int], None]
"""Called with (done, of); what it raises stops the work."""
PACKAGE_GRID = 32
"""Points along each side in SAM 2's own automatic generator."""
_CANVAS_SIDE = 192
_TOLERANCES = (0.06, 0.09)
_LOOSER = 1.3
_HOLES = 0.1


@dataclass(frozen=True)
class GridOptions:
    """How automatic segments are asked for and which are kept. Defaults suit small medical pictures; the package's own are 32, 0.8, 0.95."""

    points_per_side: int = 8
    score_threshold: float = 0.6
    stability_threshold: float = 0.8
    overlap_threshold: float = 0.7
    min_area: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.points_per_side <= 64:
            raise OptionRefused(f"A grid of {self.points_per_side} points a side cannot be used; take 1 to 64.")
        for what in ("score", "stability", "overlap"):
            value = getattr(self, f"{what}_threshold")
            if not 0 <= value <= 1:
                raise OptionRefused(f"The {what} threshold is {value}; it must lie between 0 and 1.")
        if self.min_area < 0:
            raise OptionRefused(f"The smallest area is {self.min_area} pixels; it must be 0 or more.")


class Provider(Protocol):
    """The contract."""

    name: str
    """Short name: "sam2_hiera_tiny", "classical", "user", "truth"."""

    def propose(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """Segments of (H, W) or (H, W, 3), bytes or fractions, the largest first."""


def grid_points(points_per_side: int) -> np.ndarray:
    """(points_per_side², 2) evenly spread (x, y) in 0…1, each in the middle of its cell, as in SAM 2's generator."""
    middles = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(middles, middles)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def keep_good(candidates: Sequence[Segment], options: GridOptions) -> list[Segment]:
    """The candidates that reach both thresholds."""
    return [one for one in candidates if one.score >= options.score_threshold and one.stability >= options.stability_threshold]


def without_overlaps(segments: Sequence[Segment], overlap: float) -> list[Segment]:
    """Non-maximum suppression on boxes: best score first, dropping every box that overlaps a kept one by more than `overlap`."""
    if not segments:
        return []
    import torch
    from torchvision.ops import nms

    x0, y0, x1, y1 = np.array([one.box for one in segments], np.float32).T
    # A box covers its last pixel too, so its far edge is one further.
    kept = nms(torch.from_numpy(np.stack([x0, y0, x1 + 1, y1 + 1], 1)), torch.tensor([one.score for one in segments]), overlap)
    return [segments[int(number)] for number in kept]


@dataclass(frozen=True)
class Sam2Provider:
    """SAM 2's automatic segments. `picture` may have been prepared before; the encoder then does not run again."""

    sam: Sam2
    options: GridOptions = GridOptions()

    @property
    def name(self) -> str:
        """The segmenter's name."""
        return self.sam.name

    def propose(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """See `Provider`."""
        found = self.sam.automatic(
            self.sam.prepare(picture),
            points_per_side=self.options.points_per_side,
            score_threshold=self.options.score_threshold,
            stability_threshold=self.options.stability_threshold,
            overlap_threshold=self.options.overlap_threshold,
            min_area=self.options.min_area,
            progress=progress,
        )
        return [Segment(one.mask, one.area, one.score, one.stability, one.point, "sam2") for one in found]


@dataclass(frozen=True)
class ClassicalProvider:
    """Grid points grown into even regions on a smoothed copy of at most 192 pixels a side; no network, no weights."""

    options: GridOptions = GridOptions()
    name: str = "classical"

    def propose(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """See `Provider`."""
        kept = without_overlaps(keep_good(self.candidates(picture, progress), self.options), self.options.overlap_threshold)
        shape = as_rgb(picture).shape[:2]
        whole = [_enlarged(one, shape) for one in kept]
        return sorted((one for one in whole if one.area >= max(1, self.options.min_area)), key=lambda one: (-one.area, -one.score))

    def candidates(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """One region for each grid point and tolerance, before thresholds and overlaps, on the small copy."""
        grey = _small_grey(picture)
        points = grid_points(self.options.points_per_side)
        found = []
        for number, (x, y) in enumerate(points):
            seed = (int(x * grey.shape[1]), int(y * grey.shape[0]))
            found += [_grown(grey, seed, tolerance) for tolerance in _TOLERANCES]
            if progress is not None:
                progress(number + 1, len(points))
        return found

    def at(self, picture: np.ndarray, point: tuple[float, float], tolerance: float = _TOLERANCES[1]) -> Segment:
        """The region around one (x, y) of the picture: what answers a click where no network is."""
        grey, shape = _small_grey(picture), as_rgb(picture).shape[:2]
        seed = tuple(min(int(at * small / full), small - 1) for at, small, full in zip(point, grey.shape[::-1], shape[::-1], strict=True))
        return _enlarged(_grown(grey, seed, tolerance), shape)


@dataclass(frozen=True)
class UserProvider:
    """Regions that a person drew, (H, W) bool each."""

    masks: tuple[np.ndarray, ...]
    name: str = "user"

    def propose(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """See `Provider`. OptionRefused when a region is not of the picture's size."""
        check_masks(self.masks, as_rgb(picture).shape[:2])
        return _largest_first([make_segment(mask, source="user") for mask in self.masks])


@dataclass(frozen=True)
class OracleProvider:
    """The true structures of one phantom, by name. It also knows whether there is a lesion at all, so it tells more than any segmenter could."""

    structures: Mapping[str, np.ndarray]
    name: str = "truth"

    def propose(self, picture: np.ndarray, progress: Progress | None = None) -> list[Segment]:
        """See `Provider`."""
        masks = [mask for mask in self.structures.values() if mask.any()]
        check_masks(masks, as_rgb(picture).shape[:2])
        return _largest_first([make_segment(mask, source="truth") for mask in masks])


def _largest_first(segments: list[Segment]) -> list[Segment]:
    return sorted((one for one in segments if one.area), key=lambda one: -one.area)


def _small_grey(picture: np.ndarray) -> np.ndarray:
    """(h, w) in 0…1, at most 192 pixels a side, smoothed so that noise does not stop a region's growth."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    grey = as_rgb(picture).mean(axis=2).astype(np.float32)
    scale = min(1.0, _CANVAS_SIDE / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    return gaussian_filter(small, 1.2)


def _grown(grey: np.ndarray, seed: tuple[int, int], tolerance: float) -> Segment:
    """The connected pixels about as bright as the seed; stability compares two tolerances, the score says how even the region is."""
    tight, loose = (_connected(grey, seed, tolerance * factor) for factor in (1.0, _LOOSER))
    spread = float(grey.std()) or 1.0
    evenness = 1 - min(1.0, float(grey[tight].std()) / spread)
    return make_segment(tight, score=evenness, stability=float(tight.sum() / loose.sum()), point=seed, source="classical")


def _connected(grey: np.ndarray, seed: tuple[int, int], tolerance: float) -> np.ndarray:
    from scipy.ndimage import binary_fill_holes, label

    x, y = seed
    regions, _ = label(np.abs(grey - grey[y, x]) <= tolerance)
    region = regions == regions[y, x]
    filled = binary_fill_holes(region)
    # Small holes are noise; a large one is a thing of its own, such as the body within its background.
    return filled if filled.sum() <= (1 + _HOLES) * region.sum() else region


def _enlarged(segment: Segment, shape: tuple[int, ...]) -> Segment:
    """The segment of the small copy in pixels of the picture, nearest neighbour."""
    small = segment.mask.shape
    if small == tuple(shape):
        return segment
    rows, columns = np.arange(shape[0]) * small[0] // shape[0], np.arange(shape[1]) * small[1] // shape[1]
    point = None if segment.point is None else (segment.point[0] * shape[1] // small[1], segment.point[1] * shape[0] // small[0])
    mask = segment.mask[rows[:, None], columns]
    return make_segment(mask, score=segment.score, stability=segment.stability, point=point, source=segment.source)
