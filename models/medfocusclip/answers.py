"""What the wrapper hands back: frozen records of arrays, and the region a classification looks at. NumPy alone.

C classes, L blocks, h heads, gh × gw CLIP's grid of patches, S side of CLIP's square, H × W the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.medfocusclip.options import Mode, OptionRefused
from models.medfocusclip.segments import Segment, foreground


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture ready for clicks: the segmenter's embedding is made, once."""

    key: str
    """Hash of the picture's content and of the segmenter."""
    picture: np.ndarray
    """(H, W, 3) uint8."""
    seed: int
    """What random colours are drawn from."""
    embedding: object | None
    """The segmenter's own prepared image; None where the classical stand-in answers."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.picture.shape[:2]


@dataclass(frozen=True, eq=False)
class Outline:
    """The answer to one prompt of clicks or boxes."""

    candidates: tuple[Segment, ...]
    """The best first: up to three readings of one click; one for each box when several boxes were drawn (then in their order)."""
    logits: np.ndarray | None
    """(K, h, h) of the candidates in the same order, to refine one of them with the next click (`earlier=`); None without a network."""


@dataclass(frozen=True, eq=False)
class View:
    """One mode's result."""

    mode: Mode
    picture: np.ndarray
    """(H', W', 3) uint8: what was put in, at full size (H' × W' is H × W except for a crop)."""
    clip_input: np.ndarray
    """(S, S, 3) uint8: what CLIP sees."""
    probabilities: np.ndarray
    """(C,) float32, sum 1."""
    logits: np.ndarray
    """(C,) float32."""
    entropy: float
    """Uncertainty in bits: 0 when sure, log2 C when all classes are alike."""
    attention: np.ndarray
    """(L, h, gh, gw) float32: what the class token draws from each patch; each map sums to 1 less the class token's share in itself."""
    rollout: np.ndarray
    """(gh, gw) float32: the same through all blocks together."""
    mass: np.ndarray
    """(L, h) float32: the part of each map that lies inside the region, 0 to 1; NaN for a crop, which has another frame."""
    rollout_mass: float
    """The same for the rollout."""
    weights: str
    """Which weights answered: "zero-shot", or the arm a trained head was trained in ("trained on painted pictures")."""

    @property
    def answer(self) -> int:
        """The class of the highest probability."""
        return int(self.probabilities.argmax())


@dataclass(frozen=True, eq=False)
class Answer:
    """All asked modes for one picture, with what they looked at."""

    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    """The texts the picture was compared with."""
    views: Mapping[Mode, View]
    """In the order asked for."""
    region: np.ndarray
    """(H, W) bool: the region that binary, attention and the drawn prompts point at; all True where there is no segment to point at."""
    focus: tuple[int, ...]
    """Numbers of the segments that make the region; empty when the whole picture stands in."""
    region_share: np.ndarray
    """(gh, gw) float32: how much of each patch lies in the region; its mean is what the attention inside would be if CLIP looked everywhere alike."""
    seen_box: tuple[float, float, float, float]
    """top, left, bottom, right: the part of the picture that CLIP sees, in its pixels."""
    hidden_text: tuple[tuple[int, int, int, int], ...]
    """Boxes (top, left, bottom, right) of writing that was painted over first."""


@dataclass(frozen=True, eq=False)
class Removal:
    """What happens when one segment is left out."""

    index: int
    """Number of the segment."""
    before: np.ndarray
    """(C,) probabilities with all segments."""
    after: np.ndarray
    """(C,) probabilities without it."""

    @property
    def change(self) -> float:
        """How far the answer moves: half the summed differences, 0 (not at all) to 1."""
        return float(np.abs(self.after - self.before).sum() / 2)


@dataclass(frozen=True, eq=False)
class PaletteTest:
    """The same segments painted in other random colours."""

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    probabilities: np.ndarray
    """(n, C), one row for each seed."""
    plain: np.ndarray
    """(C,) without paint."""

    @property
    def agreement(self) -> float:
        """Share of the palettes that give the most common answer."""
        return float(np.bincount(self.probabilities.argmax(1)).max() / len(self.probabilities))

    @property
    def spread(self) -> np.ndarray:
        """(C,) highest less lowest probability of each class."""
        return np.ptp(self.probabilities, axis=0)


def choose_focus(
    segments: Sequence[Segment], wanted: tuple[int, ...] | None, rule: str, similarity: Mapping[int, float]
) -> tuple[int, ...]:
    """Numbers of the segments that make the region; empty when none can.

    `wanted` overrules the rule. `similarity`: segment → agreement with the texts, needed for the rule "text" alone. OptionRefused for a number
    that is none.
    """
    if wanted is not None:
        for number in wanted:
            if not 0 <= number < len(segments):
                raise OptionRefused(f"There is no segment {number}; there are {len(segments)}, counted from 0.")
        return tuple(sorted({number for number in wanted if segments[number].area}))
    found = foreground(segments)
    if not found or rule == "all":
        return tuple(found)
    if rule == "text":
        return (max(found, key=lambda number: (similarity[number], -number)),)
    pick = max if rule == "largest" else min
    return (pick(found, key=lambda number: (segments[number].area, number)),)
