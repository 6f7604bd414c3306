"""MedFocusCLIP: segments painted on a scan show CLIP where to look (arXiv 2501.03839).

Importing this package loads no PyTorch; ``FocusClassifier``, the network under its own name, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.medfocusclip.deviations import DEVIATIONS
from models.medfocusclip.options import MODES, PALETTES
from models.medfocusclip.presets import PRESETS
from models.shared.method import Method, Paper, Switch

if TYPE_CHECKING:
    from models.medfocusclip.network import FocusClassifier

__all__ = ["METHOD", "FocusClassifier"]

_PAPER = Paper(
    title="MedFocusCLIP: Improving few shot classification in medical datasets using pixel wise attention",
    authors=("Aadya Arora", "Vinay Namboodiri"),
    arxiv="2501.03839",
    venue="ICASSP",
    year=2025,
    read="The abstract and introduction, and the figures and result tables of the authors' public project page. Loss, optimiser and backbone stand "
    "in parts that could not be read.",
)

_SWITCHES = (
    Switch("mode", "What CLIP is shown", "painted", tuple(MODES), "Painted is the paper's way; attention is ours, not from the paper."),
    Switch(
        "alpha",
        "Opacity of the colours",
        0.5,
        (),
        "0 shows the scan alone, 1 the colours alone; about 0.5 was measured on the paper's figure.",
    ),
    Switch("palette", "Colours", "random", tuple(PALETTES), "The paper's are random; whether they matter can be tested."),
    Switch("segmenter", "Segmenter", "auto", (), "Who outlines: SAM 2, or a classical stand-in without a network."),
    Switch("balance", "Balance λ of the two losses", 0.5, (), "1 trains with cross-entropy alone."),
    Switch("fraction", "Share of the training pictures", 1.0, (0.05, 0.1, 0.2, 0.5, 1.0), "The paper's meaning of few-shot."),
)

METHOD = Method(
    id="medfocusclip",
    title="MedFocusCLIP",
    question="Does showing CLIP where to look, with segments painted on the scan, make it a better reader from few examples?",
    summary="SAM 2 outlines what stands out, the outlines are painted on the scan in colours, and CLIP learns the classes from the painted pictures.",
    paper=_PAPER,
    order=3,
    inputs=("an image", "clicks, boxes or segments"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=DEVIATIONS,
)


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "FocusClassifier":
        from models.medfocusclip.network import FocusClassifier

        return FocusClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
