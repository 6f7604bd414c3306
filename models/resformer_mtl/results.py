"""What the wrapper hands back: frozen records of arrays. NumPy alone.

Legend: H × W the picture, S side of the network's square, K structures, L classes, S_i side of stage i's map, M tokens of a window, h heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.shared.lesion_measures import Lesion


class OptionRefused(ValueError):
    """A setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class Options:
    """What can be changed without asking the network again."""

    threshold: float = 0.5
    """Probability above which a pixel is outlined; 0.5 is the card's rule."""
    class_threshold: float = 0.5
    """Score above which a class counts as present, where classes do not exclude one another."""
    at_least_px: int = 1
    """Smaller regions, in pixels of the picture, are taken out of the mask."""

    def __post_init__(self) -> None:
        if not (0 < self.threshold < 1 and 0 < self.class_threshold < 1 and self.at_least_px >= 1):
            raise OptionRefused("Thresholds lie between 0 and 1, and the smallest region has at least one pixel.")


@dataclass(frozen=True, eq=False)
class Layer:
    """One scale of the encoder, as maps of the mean size of its channels; float32 (S_i, S_i)."""

    stage: int
    """From 1."""
    conv: np.ndarray
    """The residual stage's share."""
    tokens: np.ndarray | None
    """The token path's share; None without window attention."""
    out: np.ndarray
    """The stage's output."""
    branches: tuple[np.ndarray, ...]
    """1×1 and the three dilated branches of the feature enhancement; empty where it is off."""
    rates: tuple[int, ...]
    """Dilation of each branch, 1 for the first."""
    reach_px: tuple[float, ...]
    """How far each branch's taps lie from its centre, in pixels of the network's square."""
    spatial: np.ndarray | None
    """The enhancement's spatial attention in 0…1."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network has read; `run` is then a matter of thresholds."""

    key: str
    """Hash of content, spacing and network."""
    picture: np.ndarray
    """(H, W) or (H, W, 3) uint8, as it was given."""
    seen: np.ndarray
    """(S, S) float32 in 0…1: what the network reads."""
    spacing_mm: tuple[float, float] | None
    """Of the picture, (row, column)."""
    probability: np.ndarray | None
    """(K, S, S) float32: each structure's probability; None for a network that learned no outlines."""
    background: np.ndarray | None
    """(S, S) float32."""
    scores: np.ndarray | None
    """(L,) float32 in 0…1, each class on its own; None for a network that learned no classes."""
    layers: tuple[Layer, ...]
    attention: tuple[tuple[np.ndarray, ...], ...] = field(repr=False)
    """Stage by stage the two blocks' weights (windows, h, M, M); empty without window attention."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.picture.shape[:2]


@dataclass(frozen=True)
class Agreement:
    """Whether mask and diagnosis say the same of one thing."""

    name: str
    mask_says: bool
    class_says: bool

    @property
    def agree(self) -> bool:
        """They do."""
        return self.mask_says == self.class_says


@dataclass(frozen=True, eq=False)
class Result:
    """Mask, classes and measures of one picture under the options."""

    mask: np.ndarray
    """(H, W) uint8: 0 nothing, else the structure's number from 1."""
    probability: np.ndarray | None
    """(K, H, W) float32 at the picture's size."""
    scores: np.ndarray | None
    """(L,) as in `Prepared`."""
    present: tuple[bool, ...]
    """(L,): which classes count as present; of classes that exclude one another the one with the highest score."""
    lesions: tuple[Lesion, ...]
    """Of all structures, the largest first."""
    agreements: tuple[Agreement, ...]
    """One for each structure whose presence is a class of its own, or one for "lesion" where a class means that there is none."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What one place attends to, in one block of one stage."""

    weights: np.ndarray
    """(h, S_i, S_i) float32: sums to 1 over the map; 0 outside the window."""
    token: tuple[int, int]
    """Row and column of the asking token."""
    window: np.ndarray
    """(S_i, S_i) int: number of each token's window, for drawing the grid."""
    allowed: np.ndarray
    """(S_i, S_i) bool: tokens that this one may look at."""
