"""What the wrapper hands back: frozen records of arrays. NumPy alone.

Legend: H × W the picture, S side of the network's square, C classes with the background, h side of the features, L labelled pictures, N cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np


class OptionRefused(ValueError):
    """A setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class Options:
    """What can be changed without asking the network again."""

    tau: float = 0.95
    """Confidence from which a pseudo-label counts. Above 1 none does."""
    t_aff: float = 0.1
    """Temperature of the affinity; the paper's equation has 1."""
    t_cr: float = 0.1
    """Temperature of the prototype query; the paper's equation has 1."""
    cells: int = 4
    """N: cells a side; a divisor of the features' side."""
    sharpness: float = 1000.0
    """r of the agreement."""
    mode: Literal["logit", "prob"] = "logit"

    def __post_init__(self) -> None:
        if not (0 <= self.tau <= 2 and 0.001 <= self.t_aff <= 100 and 0.001 <= self.t_cr <= 100 and 0 <= self.sharpness <= 1e6):
            raise OptionRefused("tau lies in 0 to 2, temperatures in 0.001 to 100 and the sharpness in 0 to 1,000,000.")
        if self.cells < 1 or self.mode not in ("logit", "prob"):
            raise OptionRefused("There is at least one cell a side, and logits or probabilities are spread.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network has read; all else is a matter of options."""

    key: str
    """Hash of content and network."""
    picture: np.ndarray
    """(H, W) or (H, W, 3) uint8, as it was given."""
    seen: np.ndarray
    """(S, S) or (S, S, 3) float32 in 0…1: what the network reads."""
    logits: np.ndarray
    """(C, S, S) float32."""
    features: np.ndarray | None = field(repr=False)
    """(D, h, h) float32, f~ of the paper; None for a training without the fusion module."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.picture.shape[:2]


@dataclass(frozen=True, eq=False)
class PseudoLabel:
    """One of the three answers that a strong view is taught with."""

    name: Literal["p_w", "p1_w", "p2_w"]
    probability: np.ndarray
    """(C, s, s) float32; s is S for p_w, h for the other two."""
    labels: np.ndarray
    """(s, s) uint8: the likeliest class."""
    confidence: np.ndarray
    """(s, s) float32: its probability."""
    kept: np.ndarray
    """(s, s) bool: whether it reaches tau."""
    kept_fraction: float
    bound: float | None = None
    """p2_w: the greatest confidence this temperature allows, for cosines in 0…1; None for the others."""


@dataclass(frozen=True, eq=False)
class Rectified:
    """What the spreading over similar pixels changed: the plain answer against p1_w, both at the features' size."""

    before: np.ndarray
    """(h, h) uint8."""
    after: np.ndarray
    """(h, h) uint8."""
    changed: np.ndarray
    """(h, h) bool."""
    holes_filled: int
    """Holes in structures before, less those after; below 0 there are more."""
    islands_removed: int
    """Pieces of structures before, less those after; below 0 there are more."""


@dataclass(frozen=True, eq=False)
class Result:
    """Everything about one picture under the options."""

    mask: np.ndarray
    """(H, W) uint8: 0 nothing, else the structure's number."""
    probability: np.ndarray
    """(C, H, W) float32 at the picture's size."""
    pseudo: tuple[PseudoLabel, ...]
    """p_w, and with the fusion module p1_w and p2_w."""
    rectified: Rectified | None
    agreement: np.ndarray | None
    """(h, h) float32 in 0…1: Ubar."""


@dataclass(frozen=True, eq=False)
class Affinity:
    """One pixel's row of A."""

    row: np.ndarray
    """(h, h) float32, adds up to 1."""
    pixel: tuple[int, int]
    """Row and column of the asking pixel in the features."""
    by_class: tuple[float, ...]
    """How the row's weight falls on the classes that the network answers."""
    entropy: float
    """0…1 of an even row's: 1 when all pixels weigh alike."""


@dataclass(frozen=True, eq=False)
class Board:
    """The labelled pictures and their local prototypes."""

    pictures: np.ndarray
    """(L, S, S) or (L, S, S, 3) uint8."""
    masks: np.ndarray
    """(L, S, S) uint8."""
    local: np.ndarray
    """(L, N, N, C) bool: a prototype of the cell's own; else the picture's stands in where `present`."""
    present: np.ndarray
    """(L, C) bool: whether the picture shows the class at all."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """What the labelled pictures say of one pixel."""

    values: np.ndarray
    """(L, C) float32 cosines; NaN where a picture does not show the class."""
    fell_back: np.ndarray
    """(L, C) bool: the whole picture's prototype was used, not the cell's."""
    probability: np.ndarray
    """(C,) float32: p2_w at the pixel."""
    agreement: float
    """Ubar at the pixel."""
    pixel: tuple[int, int]
    """Row and column in the features."""
    cell: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Scatter:
    """Features in their two main directions."""

    points: np.ndarray
    """(M, 2) float32."""
    classes: np.ndarray
    """(M,) uint8: of labelled pictures the true class, else the network's answer."""
    labelled: np.ndarray
    """(M,) bool."""
    explained: tuple[float, float]
    """Share of the variance along each direction."""
    gaps: dict[int, float]
    """Class → how far labelled and unlabelled clouds lie apart: 0 the same, 1 nothing in common (half the absolute difference of kernel densities)."""
