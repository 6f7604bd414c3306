"""Grey-level windows: from physical values to the 0–255 of a screen.

Source: DICOM PS3.3 section C.11.2.1.2 (LINEAR, equation in C.11.2.1.2.1; SIGMOID C.11.2.1.3.1; LINEAR_EXACT C.11.2.1.3.2).
The CT presets are customary reading windows; the automatic window (0.5th to 99.5th percentile) is this project's choice.

H W: rows and columns of one frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workbench.imaging.limits import InputRefused


class WindowPreset(NamedTuple):
    """A named grey-level window in the units of the pixels."""

    name: str
    centre: float
    width: float


CT_PRESETS = (
    WindowPreset("CT soft tissue", 40.0, 400.0),
    WindowPreset("CT lung", -600.0, 1500.0),
    WindowPreset("CT bone", 400.0, 1800.0),
    WindowPreset("CT brain", 40.0, 80.0),
)
FULL_8_BIT = WindowPreset("Full range", 128.0, 256.0)  # LINEAR with these maps 0..255 onto itself
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_SAMPLE = 1_000_000  # pixels looked at for percentiles; more changes nothing visible


def _tidy(value: float) -> float:
    return float(f"{value:.6g}")  # six digits: what a person can read, and finer than any screen


def between(name: str, low: float, high: float) -> WindowPreset:
    """The LINEAR window that shows `low` as black and `high` as white."""
    width = max(high - low, 1e-6) + 1.0
    return WindowPreset(name, _tidy(low + (width - 1.0) / 2 + 0.5), _tidy(width))


def automatic(pixels: np.ndarray) -> tuple[WindowPreset, ...]:
    """Two windows made from grey `pixels` (H, W): without the outermost half percent at each end, and from least to greatest."""
    flat = pixels.reshape(-1)
    low, high = np.percentile(flat[:: max(1, flat.size // _SAMPLE)], (0.5, 99.5))
    least, greatest = float(flat.min()), float(flat.max())
    if high <= low:
        low, high = least, greatest
    return between("Automatic", float(low), float(high)), between("Full range", least, greatest)


def apply_window(pixels: np.ndarray, centre: float, width: float, *, function: str = "LINEAR") -> np.ndarray:
    """Grey `pixels` (H, W) → uint8 (H, W), black below the window and white above it.

    Raises InputRefused when the width is not above zero or either number is not finite.
    """
    if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
        raise InputRefused("A window needs a finite centre and a width above 0; please choose other numbers.")
    if function == "SIGMOID":
        # exp(80) is far beyond white or black already; the clip only keeps float32 from overflowing
        shown = 255.0 / (1.0 + np.exp(np.clip((pixels - np.float32(centre)) * np.float32(-4.0 / width), -80, 80)))
    else:
        low, span = centre - width / 2, width
        if function == "LINEAR" and width > 1:  # the LINEAR equation divides by width − 1
            low, span = centre - 0.5 - (width - 1) / 2, width - 1
        shown = (pixels - np.float32(low)) * np.float32(255.0 / span)
        np.clip(shown, 0, 255, out=shown)
    return np.rint(shown).astype(np.uint8)
