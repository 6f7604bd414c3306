"""Burnt-in letters and numbers: finding them and painting them over, so that people can see what a prediction owes to them.

A heuristic of ours, not a reading of the text: letters are small, bright, thin strokes that stand in a row on ground that is even. Known deviations:
dark letters, handwriting and lone signs are missed; a row of small bright spots of tissue may be taken for text, so the found boxes are shown.
"""

from __future__ import annotations

import numpy as np

from models.medfocusclip.painting import as_rgb

MIN_RISE = 0.2
"""How much brighter than the ground a stroke is, of the full range."""
MIN_LETTERS = 2
Box = tuple[int, int, int, int]


def find_text(picture: np.ndarray) -> list[Box]:
    """Boxes (top, left, bottom, right; ends excluded) that seem to hold writing, for (H, W) or (H, W, 3), bytes or fractions."""
    from scipy.ndimage import binary_dilation, find_objects, grey_opening, label

    grey = as_rgb(picture).max(axis=2)
    letter = max(7, round(min(grey.shape) / 24))  # the tallest letter looked for, px
    strokes = grey - grey_opening(grey, size=(max(3, letter // 2),) * 2) > MIN_RISE
    ground = grey_opening(grey, size=(letter, letter))
    strokes &= ground < 0.35  # on tissue, thin bright structures are anatomy more often than letters
    pieces, _ = label(strokes, structure=np.ones((3, 3)))
    letters = [box for box in find_objects(pieces) if _like_a_letter(box, letter)]
    drawn = np.zeros(grey.shape, bool)
    for box in letters:
        drawn[box] = True
    rows, _ = label(binary_dilation(drawn, structure=np.ones((1, 2 * max(2, letter // 3) + 1))))
    return [_tight(box, drawn) for number, box in enumerate(find_objects(rows), 1) if _is_row(box, letters, rows, number)]


def hide_text(picture: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """The picture with each box filled by the median colour of the ring around it; same shape and type."""
    out = np.array(picture)
    height, width = out.shape[:2]
    for top, left, bottom, right in boxes:
        y0, x0, y1, x1 = max(0, top - 3), max(0, left - 3), min(height, bottom + 3), min(width, right + 3)
        ring = np.ones((y1 - y0, x1 - x0), bool)
        ring[top - 1 - y0 : bottom + 1 - y0, left - 1 - x0 : right + 1 - x0] = False
        around = out[y0:y1, x0:x1][ring]
        out[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = np.median(around, axis=0).astype(out.dtype) if len(around) else 0
    return out


def _like_a_letter(box: tuple[slice, slice], letter: int) -> bool:
    height, width = (side.stop - side.start for side in box)
    return 4 <= height <= letter and 1 <= width <= 1.6 * letter


def _is_row(box: tuple[slice, slice], letters: list[tuple[slice, slice]], rows: np.ndarray, number: int) -> bool:
    members = [one for one in letters if (rows[one] == number).any()]
    heights = [one[0].stop - one[0].start for one in members]
    tops = [one[0].start for one in members]
    return (
        len(members) >= MIN_LETTERS
        and max(heights) - min(heights) <= max(2, max(heights) // 3)
        and max(tops) - min(tops) <= max(heights) // 2
    )


def _tight(box: tuple[slice, slice], drawn: np.ndarray) -> Box:
    part = drawn[box]
    ys, xs = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    top, left = box[0].start, box[1].start
    return int(top + ys[0]), int(left + xs[0]), int(top + ys[-1] + 1), int(left + xs[-1] + 1)
