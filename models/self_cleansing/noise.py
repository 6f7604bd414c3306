"""The noise lab: plants known errors into masks, so that it is known which pictures and pixels are truly wrong.

Sources of the kinds: dilation, erosion and affine moves until a share of the foreground is wrong, with the two knobs α (share of pictures) and β (how
wrong), from SP_guided_Noisy_Label_Seg (MICCAI 2021); dabs along the outline from the confident-learning work (MICCAI 2020); missing
structures from the abstract of arXiv 2409.05024. Swapped kinds are ours. Erosion and dilation here take the outermost or nearest pixels one by one, so
that β is met at any size. Same seed: the corrupted pictures of a smaller α are among those of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.self_cleansing.plan import Noise

_CHOICES = {"asymmetric": ("erosion", "missing"), "mixed": ("dilation", "erosion", "shift", "dabs")}


class NoiseRefused(ValueError):
    """Noise that cannot be planted; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Planted:
    """Labels with errors, and which."""

    labels: np.ndarray
    """uint8 (N, H, W)."""
    wrong: np.ndarray
    """bool (N, H, W): where they differ from the truth."""
    corrupted: np.ndarray
    """bool (N,): pictures with a wrong pixel."""
    kinds: tuple[str, ...]
    """What was done to each picture; "" for nothing."""


def plant(truth: np.ndarray, noise: Noise | None, *, seed: int = 0, structures: int | None = None) -> Planted:
    """Corrupts masks (N, H, W) of numbers 0…structures. NoiseRefused for masks of another shape or kinds that cannot be swapped.

    `structures`: how many kinds there are; by default the largest number found. Without noise the truth comes back.
    """
    truth = np.asarray(truth)
    if truth.ndim != 3:
        raise NoiseRefused(f"Noise is planted into masks of the shape (pictures, rows, columns), not {truth.shape}.")
    labels, kinds = truth.astype(np.uint8), [""] * len(truth)
    if noise is not None:
        structures = int(truth.max(initial=0)) if structures is None else structures
        if noise.kind == "swapped" and structures < 2:
            raise NoiseRefused("Kinds can be swapped only where there are at least two of them; choose another noise.")
        drawn = np.flatnonzero(truth.reshape(len(truth), -1).any(axis=1))
        order = np.random.default_rng([seed, 77]).permutation(drawn)
        for row in order[: round(noise.alpha * len(drawn))].tolist():
            dice = np.random.default_rng([seed, row])
            kinds[row] = str(dice.choice(_CHOICES[noise.kind])) if noise.kind in _CHOICES else noise.kind
            labels[row] = corrupt(labels[row], kinds[row], noise.beta, dice, structures)
    wrong = labels != truth
    return Planted(labels, wrong, wrong.any(axis=(1, 2)), tuple(kinds))


def corrupt(mask: np.ndarray, kind: str, beta: float, dice: np.random.Generator, structures: int) -> np.ndarray:
    """One mask (H, W) made wrong."""
    wanted = max(1, round(beta * int((mask > 0).sum())))
    if kind == "erosion":
        return _eroded(mask, wanted)
    if kind == "dilation":
        return _dilated(mask, wanted)
    if kind == "shift":
        return _moved(mask, wanted, dice)
    if kind == "dabs":
        return _dabbed(mask, wanted, dice)
    return _by_component(mask, wanted, dice, structures if kind == "swapped" else 0)


def _eroded(mask: np.ndarray, wanted: int) -> np.ndarray:
    depth = np.where(mask > 0, ndimage.distance_transform_edt(mask > 0), np.inf).ravel()
    found = mask.copy().ravel()
    found[np.argsort(depth, kind="stable")[: min(wanted, int((mask > 0).sum()))]] = 0
    return found.reshape(mask.shape)


def _dilated(mask: np.ndarray, wanted: int) -> np.ndarray:
    far, nearest = ndimage.distance_transform_edt(mask == 0, return_indices=True)
    spread = mask[nearest[0], nearest[1]].ravel()
    far = np.where(mask == 0, far, np.inf).ravel()
    chosen = np.argsort(far, kind="stable")[: min(wanted, int((mask == 0).sum()))]
    found = mask.copy().ravel()
    found[chosen] = spread[chosen]
    return found.reshape(mask.shape)


def _moved(mask: np.ndarray, wanted: int, dice: np.random.Generator) -> np.ndarray:
    """Turned by up to 30° around the drawn area's middle, then pushed until enough is wrong."""
    angle, heading = np.radians(dice.uniform(-30, 30)), dice.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre, way = np.argwhere(mask > 0).mean(axis=0), np.array([np.sin(heading), np.cos(heading)])
    found = mask
    for push in np.arange(0, len(mask) / 3, 0.5):
        found = ndimage.affine_transform(mask, turn, centre - turn @ (centre + push * way), order=0)
        if (found != mask).sum() >= wanted:
            break
    return found


def _dabbed(mask: np.ndarray, wanted: int, dice: np.random.Generator) -> np.ndarray:
    """Discs along the outline, each filled with the structure or cut out."""
    found = mask.copy()
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    border = np.argwhere((mask > 0) & ~ndimage.binary_erosion(mask > 0))
    radius = max(1.5, 0.035 * len(mask))
    for _ in range(200):
        row, column = border[dice.integers(len(border))]
        disc = (y - row) ** 2 + (x - column) ** 2 <= (radius * dice.uniform(0.7, 1.3)) ** 2
        found[disc] = mask[row, column] if dice.random() < 0.5 else 0
        if (found != mask).sum() >= wanted:
            break
    return found


def _by_component(mask: np.ndarray, wanted: int, dice: np.random.Generator, structures: int) -> np.ndarray:
    """Whole lesions, at least one: taken away, or given another kind where there are `structures` of them."""
    found, (parts, n) = mask.copy(), ndimage.label(mask > 0)
    for number in dice.permutation(np.arange(1, n + 1)):
        here = parts == number
        if structures:
            found[here] = 1 + (mask[here].astype(int) - 1 + dice.integers(1, structures)) % structures
        else:
            found[here] = 0
        if (found != mask).sum() >= wanted:
            break
    return found
