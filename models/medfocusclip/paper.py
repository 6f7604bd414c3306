"""The paper's own numbers, apart from ours: accuracy in per cent by share of the training set. None of them was measured here.

Source: the result tables on the authors' public project page; the CLIP rows were read off plots there (to about one point), but for the breast set's 5 per cent, which
is the abstract's. Single runs; no spread is given.
"""

from __future__ import annotations

from dataclasses import dataclass

FRACTIONS = (0.05, 0.1, 0.2, 0.5, 1.0)
SOURCE = (
    "Arora and Namboodiri 2025, tables of the project page; CLIP rows read off its plots, to about one point. One run each, no spread given. "
    "Their CLIP is a published one whose size is not told; the data sets were identified by their test sizes."
)


@dataclass(frozen=True)
class PaperRow:
    """One model on one set."""

    dataset: str
    model: str
    accuracy: tuple[float, float, float, float, float]
    """Per cent, at `FRACTIONS`."""


TABLE = (
    PaperRow("COVID", "ResNet", (51.52, 53.03, 62.12, 63.64, 80.30)),
    PaperRow("COVID", "Swin", (51.52, 62.12, 60.61, 78.79, 86.36)),
    PaperRow("COVID", "CLIP", (66.7, 75.8, 75.8, 83.3, 86.4)),
    PaperRow("COVID", "MedFocusCLIP", (71.15, 77.27, 83.33, 87.88, 93.94)),
    PaperRow("Lung", "ResNet", (59.06, 69.23, 50.81, 77.83, 83.21)),
    PaperRow("Lung", "Swin", (75.56, 79.65, 81.48, 84.35, 85.68)),
    PaperRow("Lung", "CLIP", (70.0, 76.1, 80.1, 82.2, 85.2)),
    PaperRow("Lung", "MedFocusCLIP", (81.28, 82.12, 84.49, 85.63, 91.52)),
    PaperRow("Brain", "ResNet", (68.50, 41.88, 77.19, 92.81, 93.75)),
    PaperRow("Brain", "Swin", (82.46, 86.65, 86.65, 88.94, 89.32)),
    PaperRow("Brain", "CLIP", (68.5, 80.6, 83.4, 88.0, 89.2)),
    PaperRow("Brain", "MedFocusCLIP", (86.09, 92.12, 94.91, 96.28, 97.57)),
    PaperRow("Breast", "ResNet", (53.09, 59.28, 60.26, 62.87, 85.02)),
    PaperRow("Breast", "Swin", (67.43, 67.43, 70.68, 81.43, 78.50)),
    PaperRow("Breast", "CLIP", (29.0, 58.0, 43.0, 58.0, 61.0)),
    PaperRow("Breast", "MedFocusCLIP", (58.63, 69.06, 76.22, 97.39, 96.09)),
)
READING = (
    "On the breast set at 5 % Swin is better than the method.",
    "Several baselines fall as they get more pictures, which single runs do; no spread is reported.",
    "The margin over CLIP trained the same way runs from about 1.5 points (COVID, 10 %) to about 39 (breast, 50 %).",
    "With 66 test pictures one picture is 1.5 points; 71.15 % is not a multiple of that.",
)
"""What an honest reader notes about them."""
