"""What the wrapper hands back: frozen records of arrays. NumPy alone.

Legend: H × W the picture, S side of the network's square, C classes (background first), N training pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class OptionRefused(ValueError):
    """A setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class Options:
    """What can be changed without asking the network again."""

    at_least_px: int = 1
    """Smaller regions, in pixels of the picture, are taken out of the mask."""
    threshold: float = 0.0
    """A structure is outlined only where its probability is above this; 0 outlines the likeliest class, which is the card's rule."""

    def __post_init__(self) -> None:
        if not (0 <= self.threshold < 1 and self.at_least_px >= 1):
            raise OptionRefused("The threshold lies between 0 and 1, and the smallest region has at least one pixel.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network has read."""

    key: str
    """Hash of content and network."""
    picture: np.ndarray
    """(H, W) or (H, W, 3) uint8."""
    seen: np.ndarray
    """(S, S) or (S, S, 3) float32 in 0…1: what the network reads."""
    probability: np.ndarray
    """(C, S, S) float32."""


@dataclass(frozen=True, eq=False)
class Result:
    """Outline of one picture."""

    mask: np.ndarray
    """(H, W) uint8: 0 nothing, else the structure's number from 1."""
    probability: np.ndarray
    """(C, H, W) float32."""
    sureness: np.ndarray
    """(H, W) float32: the largest probability, κ."""
    pixels: dict[str, int]
    """Structure → pixels of the picture."""


@dataclass(frozen=True, eq=False)
class Case:
    """One training picture through filter and cleansing."""

    index: int
    picture: np.ndarray
    """(S, S) or (S, S, 3) float32 in 0…1."""
    given: np.ndarray
    """uint8 (S, S): the label as given."""
    truth: np.ndarray | None
    """uint8 (S, S); None where nobody knows it."""
    planted: str
    """What was done to the label; "" for nothing."""
    probability: np.ndarray
    """(C, S, S) float32: the teacher's."""
    prediction: np.ndarray
    """uint8 (S, S): the teacher's likeliest class."""
    loss: np.ndarray
    """(S, S) float32: −log P of the given label."""
    w: np.ndarray
    """(S, S) float32: probability that the pixel's label is clean."""
    s: float
    """1 − soft Dice of the picture."""
    picture_w: float
    """Probability that the picture's label is clean."""
    kappa: np.ndarray
    """(S, S) float32."""
    cleansed: np.ndarray
    """uint8 (S, S)."""
    provenance: np.ndarray
    """uint8 (S, S): 0 kept, 1 flipped, 2 abstained."""
    right: np.ndarray | None
    """bool (S, S): whether the cleansed label is the truth; None where nobody knows."""


@dataclass(frozen=True)
class Suspect:
    """One line of the list "please re-check these"."""

    index: int
    noisy: float
    """1 − w of the picture, 0…1."""
    s: float
    flips: int
    """Pixels of the proposed correction that differ from the label."""
    corrupted: bool | None = None
    """Whether it truly is wrong; None where nobody knows."""
    name: str = ""


@dataclass(frozen=True, eq=False)
class Level:
    """Losses of pictures, or of the pixels of one class: histogram, Gaussians, and how well they find the planted errors."""

    edges: np.ndarray
    """(bins + 1,) losses."""
    right: np.ndarray
    """(bins,) counts of rightly labelled ones."""
    wrong: np.ndarray
    """(bins,)."""
    gaussians: np.ndarray
    """(2, bins·8): weighted densities over `axis`, on the histogram's scale; empty without a fit."""
    axis: np.ndarray
    """(bins·8,) losses."""
    noise: bool
    """Whether noise counts as detected."""
    why: str
    auroc: float | None
    precision: float | None
    recall: float | None
    flagged: int
    n: int


def ranking(
    noisy: np.ndarray, s: np.ndarray, flips: np.ndarray, corrupted: np.ndarray | None = None, names: tuple[str, ...] = ()
) -> tuple[Suspect, ...]:
    """All training pictures (N,), the most suspicious first; among equals the larger loss."""
    order = np.lexsort((-s, -np.round(noisy, 6)))
    return tuple(
        Suspect(
            int(i),
            float(noisy[i]),
            float(s[i]),
            int(flips[i]),
            None if corrupted is None else bool(corrupted[i]),
            names[i] if names else "",
        )
        for i in order
    )
