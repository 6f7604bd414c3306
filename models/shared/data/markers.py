"""Burnt-in marks on ultrasound pictures: measuring crosses, letters such as "RT AXILLA". A heuristic, not a reading of the text.

Tissue on these pictures reflects in lines across the beam, so bright thin structures lie flat. Crosses and letters have upright
strokes: bright, at most four pixels wide and five or more high. Source: inferred from the pictures. Known deviations: thin boxes,
body pictograms and lone dotted lines are missed; the tiny sign of the maker in the upper left corner, on nearly every picture, is
left out on purpose. Looked at by eye on 64 of the 780 BUSI pictures that no setting was chosen on: 16 of 18 marked ones
found, 2 of 46 others flagged.
"""

from __future__ import annotations

import numpy as np

SIDE = 256
"""Pixels of the pictures the settings below were chosen on."""
MIN_RISE = 40
"""Grey levels a stroke stands above what is left and right of it."""
MIN_LEVEL = 150
MAX_WIDTH_PX = 4
MIN_HEIGHT_PX = 5
_CORNER_PX = 14
_TOP_PX = 6
"""The probe's own contact line."""


def marked(pictures: np.ndarray) -> np.ndarray:
    """bool (N,) from grey uint8 (N, 256, 256): whether marks seem to be burnt in. Raises ValueError for another size."""
    from scipy.ndimage import binary_opening, grey_opening

    if pictures.ndim != 3 or pictures.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"Marks are looked for on {SIDE}×{SIDE} pictures, found {pictures.shape}; resize them first.")
    found = np.zeros(len(pictures), dtype=bool)
    for number, picture in enumerate(pictures):
        rise = picture - grey_opening(picture, size=(1, MAX_WIDTH_PX + 1))  # uint8 stays uint8: an opening is never above its picture
        rise[:_TOP_PX] = 0
        rise[:_CORNER_PX, :_CORNER_PX] = 0
        strokes = (rise > MIN_RISE) & (picture > MIN_LEVEL)
        found[number] = binary_opening(strokes, np.ones((MIN_HEIGHT_PX, 1), dtype=bool)).any()
    return found
