"""`Study`: one frame or slice of one upload, ready for a method and for the screen.

A Study holds no name, date, number or free text of a person: readers hand over pixels and picture facts only.

H W: rows and columns of the chosen frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from workbench.imaging.windows import WindowPreset, apply_window

_SLAB_ROWS = 256  # rows shown at a time, so that a large picture needs no second copy in float
Source = Literal["png", "jpeg", "tiff", "bmp", "webp", "dicom", "nifti"]


@dataclass(frozen=True, eq=False)
class GreyTable:
    """A DICOM VOI look-up table: the value `first` is shown as `shades[0]`, the next as `shades[1]`, and so on (uint8)."""

    first: float
    shades: np.ndarray

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Grey `pixels` (H, W) → uint8 (H, W); values outside the table take its end shades (PS3.3 C.11.2.1.1)."""
        index = np.clip(np.rint(pixels - np.float32(self.first)), 0, len(self.shades) - 1)
        return self.shades[index.astype(np.intp)]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a reader gives for one frame: float32 pixels (H, W) or (H, W, 3), C-contiguous, and how to show them."""

    pixels: np.ndarray
    spacing_mm: tuple[float, float] | None = None
    windows: tuple[WindowPreset, ...] = ()
    function: str = "LINEAR"
    table: GreyTable | None = None
    full_scale: float = 255.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Study:
    """One frame of one upload. `pixels` keep their physical values (HU after rescale, 16-bit values as they are) and are read-only.

    `spacing_mm` is (row, column) distance in millimetres or None when unknown. `full_scale` is the value that means full brightness in a
    colour picture. `function` and `table` are the file's own way from value to shade, used by `display`.
    """

    pixels: np.ndarray = field(repr=False)
    frames: int
    frame: int
    spacing_mm: tuple[float, float] | None
    modality: str
    source: Source
    window: tuple[float, float] | None
    windows: tuple[WindowPreset, ...]
    photometric: str
    warnings: tuple[str, ...]
    content_hash: str
    full_scale: float = 255.0
    function: str = "LINEAR"
    table: GreyTable | None = field(default=None, repr=False)
    _other_frame: Callable[[int], Study] | None = field(default=None, repr=False)

    @property
    def is_colour(self) -> bool:
        """True when `pixels` is (H, W, 3)."""
        return self.pixels.ndim == 3

    def at(self, frame: int) -> Study:
        """The Study of another frame or slice (counted from 0), decoded from the same file without reading its header again.

        Raises InputRefused when there is no such frame, or when the file has gone or changed since.
        """
        if frame == self.frame or self._other_frame is None:
            return self
        return self._other_frame(frame)

    def display(self, window: tuple[float, float] | None = None) -> np.ndarray:
        """uint8 (H, W) or (H, W, 3), bright as a viewer shows it: windowed, and inverted for MONOCHROME1.

        `window` is (centre, width) in pixel units; None takes the file's own table or the chosen window. Colour ignores it.
        Raises InputRefused for a window that is not finite or not wider than 0.
        """
        shown = np.empty(self.pixels.shape, np.uint8)
        for top in range(0, len(shown), _SLAB_ROWS):
            slab = slice(top, top + _SLAB_ROWS)
            shown[slab] = self._shades(self.pixels[slab], window)
        return shown

    def _shades(self, pixels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
        if self.is_colour:
            return np.clip(np.rint(pixels * np.float32(255.0 / self.full_scale)), 0, 255).astype(np.uint8)
        if window is None and self.table is not None:
            shown = self.table.apply(pixels)
        else:
            centre, width = window or self.window or self.windows[0][1:]
            shown = apply_window(pixels, centre, width, function=self.function)
        return 255 - shown if self.photometric == "MONOCHROME1" else shown


def as_pixels(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Any real array (H, W) or (H, W, 3) → (C-contiguous float32 array with finite values only, warnings).

    Values that are not numbers become the least finite value, so that windows and methods never meet them.
    """
    warnings: tuple[str, ...] = ()
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size and max(abs(int(array.min())), abs(int(array.max()))) > 2**24:
        warnings = ("Some values are larger than 16 million and were rounded to seven digits.",)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite here and is dealt with below
        pixels = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.kind == "f":
        good = np.isfinite(pixels)
        if not good.all():
            floor = float(pixels[good].min()) if good.any() else 0.0
            pixels = np.where(good, pixels, np.float32(floor))
            warnings += ("Some pixels hold no number; they are shown as the darkest value.",)
    return pixels, warnings
