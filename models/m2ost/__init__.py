"""M2OST: gene expression of a spot from three nested views of the tissue around it (arXiv 2409.15092).

Importing this package loads no PyTorch; ``M2OST``, the network under its own name, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.m2ost.deviations import DEVIATIONS
from models.m2ost.presets import PRESETS
from models.shared.method import Method, Paper, Switch

if TYPE_CHECKING:
    from models.m2ost.network import M2OST

__all__ = ["M2OST", "METHOD"]

_PAPER = Paper(
    title="M2OST: Many-to-one Regression for Predicting Spatial Transcriptomics from Digital Pathology Images",
    authors=("Hongyi Wang", "Xiuju Du", "Jing Liu", "Shuyi Ouyang", "Yen-Wei Chen", "Lanfen Lin"),
    arxiv="2409.15092",
    venue="AAAI 2025",
    year=2025,
    read="The abstract, and the released code with its data scripts (MIT licence), which do not run as they are. Of the paper's text two "
    "machine-written digests were read; the main table could not be retrieved.",
)

_SWITCHES = (
    Switch("levels", "Views the network is given", (0, 1, 2), (0, 1, 2), "The spot; twice as wide; four times as wide."),
    Switch("dpe", "Fine patches over the spot (DPE)", True, (), "Off: every view is cut into coarse patches alone."),
    Switch("ctmm", "Views listen to each other (CTMM)", True, (), "Off: views meet in the channel gates and at the end only."),
    Switch("ccmm", "Channel gates over all views (CCMM)", True, (), "Off: no view is turned up or down."),
    Switch("profile", "Form", "paper", ("paper", "repo"), "As the text describes it, or as the released file computes it."),
    Switch("split", "Split", "patient", ("patient", "slide"), "By slide, other sections of a test patient stand in the training."),
)

METHOD = Method(
    id="m2ost",
    title="M2OST",
    question="How much of a tissue's gene expression can be told from its looks, and how far around a spot must one look?",
    summary="Three nested views of one spot, each twice as wide as the one before, listen to each other and together predict its expression of many genes.",
    paper=_PAPER,
    order=4,
    inputs=("a whole slide", "a table of counts with coordinates"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.m2ost.network:parameters",
)


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "M2OST":
        from models.m2ost.network import M2OST

        return M2OST
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
