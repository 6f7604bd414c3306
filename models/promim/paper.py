"""The papers' own numbers, to be shown apart from ours: another backbone (ViT-B/16), other pictures, never measured here.

Each number says how it is known: "verified" (read in the authors' paper or code notes), "secondary" (told by a public account of the paper),
"derived" (follows from two others by H = 2·Base·New / (Base + New)). Where nothing is known there is None. Per cent throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.shared.method import Evidence


@dataclass(frozen=True)
class Told:
    """One number and how it is known."""

    value: float
    evidence: Evidence


@dataclass(frozen=True)
class PaperRow:
    """A method's averages over the eleven data sets of the base-to-new protocol, 16 shots."""

    method: str
    base: Told | None
    new: Told | None
    h: Told | None
    source: str


_CLIP_SOURCE = "KgCoOp's released notes"
_SECOND = "a public account of arXiv 2508.04942"

BASE_TO_NEW = (
    PaperRow("CLIP", Told(69.34, "verified"), Told(74.22, "verified"), Told(71.70, "verified"), _CLIP_SOURCE),
    PaperRow("CoOp", Told(82.69, "secondary"), Told(63.22, "secondary"), Told(71.66, "secondary"), "CoCoOp's comparison, arXiv 2203.05557"),
    PaperRow("CoCoOp", Told(80.47, "verified"), Told(71.69, "verified"), Told(75.83, "verified"), "arXiv 2203.05557"),
    PaperRow("KgCoOp", Told(80.73, "verified"), Told(73.60, "verified"), Told(77.00, "verified"), _CLIP_SOURCE),
    PaperRow("CoCoOp + ProMIM", Told(80.65, "derived"), Told(73.96, "secondary"), Told(77.16, "secondary"), _SECOND),
    PaperRow("TCP + ProMIM", Told(84.41, "secondary"), Told(76.05, "secondary"), Told(80.01, "derived"), _SECOND),
)
"""KgCoOp's notes list CoOp with another schedule as 82.63 / 67.99 / 74.60; CoCoOp's figures are used throughout."""


@dataclass(frozen=True)
class PaperNote:
    """A further result in words."""

    what: str
    evidence: Evidence


NOTES = (
    PaperNote("Trained on ImageNet and tested on ten other sets, on average: CoOp 63.88, CoCoOp 65.74, ProMIM 66.09.", "secondary"),
    PaperNote("Four variants of ImageNet, on average: CoCoOp 59.90, with ProMIM 60.11; TCP with ProMIM 60.57.", "secondary"),
    PaperNote("Largest gains on new classes over CoCoOp: FGVCAircraft +9.92, EuroSAT +7.99.", "secondary"),
    PaperNote("Cost beside CoCoOp: about 3 more minutes of training, 0.1 ms for each picture, 2 MB.", "secondary"),
    PaperNote("Hiding 75 % is best; random masks beat block-wise ones, the more so the more is hidden; λ = 2 is best.", "secondary"),
    PaperNote("Masked conditioning alone already lifts New; with the pull towards the hand-written text, H is best.", "secondary"),
)
