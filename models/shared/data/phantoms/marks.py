"""Burnt-in writing, rulers and calipers in a tiny bitmap font, and the cue that can act as a shortcut.

The cue is one of: a ward or protocol tag in the corner, the picture's gain, or a hatched border. Its value is a class index; it
follows the class only where `facts.draw_facts` says so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.shared.data.phantoms.facts import Family
from models.shared.data.phantoms.records import Marker

# Five rows of three dots each, top to bottom, as octal-like digits: 4 is the left dot, 1 the right one.
_GLYPHS = {
    "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553", "H": "55755", "I": "72227",
    "K": "55655", "L": "44447", "M": "57755", "N": "65555", "O": "25552", "P": "65644", "R": "65655", "S": "34216", "T": "72222",
    "U": "55557", "V": "55552", "W": "55775", "X": "55255", "Y": "55222", "0": "75557", "1": "26227", "2": "71747", "3": "71317",
    "4": "55711", "5": "74717", "6": "74757", "7": "71122", "8": "75757", "9": "75717", " ": "00000", ".": "00002", "-": "00700",
}  # fmt: skip
_GAIN_STEP = 0.09


@lru_cache(maxsize=256)
def lettering(text: str, scale: int) -> NDArray[np.bool_]:
    """(5·scale, (4·len − 1)·scale) dots of a text. Raises KeyError for a character the font lacks."""
    rows = np.zeros((5, 4 * len(text) - 1), bool)
    for i, letter in enumerate(text):
        for r, dots in enumerate(_GLYPHS[letter]):
            rows[r, 4 * i : 4 * i + 3] = [int(dots) >> shift & 1 for shift in (2, 1, 0)]
    return np.kron(rows, np.ones((scale, scale), bool))


def write(image: NDArray[np.float32], text: str, corner: str, *, line: int = 0, brightness: float = 0.85, kind: str = "text") -> Marker:
    """Writes into ``image`` (H, W) in place; ``corner`` is "top left", "bottom right" …, ``line`` counts away from the edge."""
    size = image.shape[0]
    scale = max(1, size // 112)
    dots = lettering(text, scale)
    height, width = dots.shape
    edge = max(2, size // 40)
    step = edge + line * (height + 2 * scale)
    top = step if corner.startswith("top") else size - step - height
    left = edge if corner.endswith("left") else size - edge - width
    box = (top, left, top + height, left + width)
    part = image[box[0] : box[2], box[1] : box[3]]
    part[dots] = brightness if part.mean() < 0.6 else 0.08  # dark ink where the picture is bright
    return Marker(kind, text, box)


def ruler(image: NDArray[np.float32], column: int, spacing_mm: float, step_mm: float) -> Marker:
    """Ticks every ``step_mm`` down a column, drawn in place."""
    size = image.shape[0]
    rows = np.arange(step_mm, size * spacing_mm, step_mm) / spacing_mm
    length = max(2, size // 64)
    image[rows.astype(int), column - length : column] = 0.7
    return Marker("ruler", f"{step_mm:g} mm", (0, column - length, size, column))


def calipers(image: NDArray[np.float32], row: int, left: int, right: int) -> Marker:
    """Two crosses in a row, at these columns, drawn in place."""
    arm, limit = max(1, image.shape[0] // 64), image.shape[0]
    for column in (left, right):
        image[max(row - arm, 0) : row + arm + 1, column] = 0.95
        image[row, max(column - arm, 0) : column + arm + 1] = 0.95
    return Marker("calipers", "+ +", (max(row - arm, 0), max(left - arm, 0), min(row + arm + 1, limit), min(right + arm + 1, limit)))


def draw_cue(image: NDArray[np.float32], family: Family, cue: int) -> tuple[Marker, ...]:
    """Draws the shortcut's cue into ``image`` in place."""
    size = image.shape[0]
    if family.cue == "tag":
        return (write(image, family.cue_texts[cue], "bottom right", kind="cue"),)
    if family.cue == "gain":
        image *= np.float32(1 + _GAIN_STEP * (cue - (len(family.classes) - 1) / 2))
        return (Marker("cue", f"gain {cue}", (0, 0, size, size)),)
    # A hatched strip along the foot of the picture, its hatching as coarse as the cue's number.
    height, pitch = max(2, size // 32), cue + 1
    hatch = (np.arange(size) // pitch % 2).astype(np.float32)
    image[size - height :] = 0.12 + 0.2 * hatch
    return (Marker("cue", f"border {cue}", (size - height, 0, size, size)),)
