"""The record of this room: what it is called, what can be switched, which presets train it. Loads no PyTorch."""

from __future__ import annotations

from models.semsim.deviations import DEVIATIONS
from models.semsim.plan import ARMS, OWN
from models.semsim.presets import PRESETS
from models.shared.method import Method, Paper, Switch

_PAPER = Paper(
    title="SemSim: Revisiting Weak-to-Strong Consistency from a Semantic Similarity Perspective for Semi-supervised Medical Image Segmentation",
    authors=("Shiao Xie", "Hongyi Wang", "Ziwei Niu", "Hao Sun", "Shuyi Ouyang", "Yen-Wei Chen", "Lanfen Lin"),
    arxiv="2410.13486",
    venue="arXiv preprint",
    year=2024,
    read="The whole text with its equations and tables. No code was found; the recipe follows UniMatch's and the U-Net SSL4MIS's public code where the paper is silent.",
)

_SWITCHES = (
    Switch("arm", "Which training answers", OWN, tuple(ARMS), "SemSim, FixMatch, labelled pictures alone, or one part taken out."),
    Switch("labelled", "Labelled slices", 2, (2, 4, 8), "Of 164; the others teach without labels."),
    Switch("tau", "Confidence tau", 0.95, (), "From which a pseudo-label counts."),
    Switch("t_aff", "Temperature of the affinity", 0.1, (), "1 is the paper's equation as it stands."),
    Switch("t_cr", "Temperature of the prototypes", 0.1, (), "1 is the paper's equation as it stands: nothing passes tau."),
    Switch("cells", "Cells a side N", 4, (1, 2, 4, 8), "Prototypes are taken in each cell."),
    Switch("sharpness", "Sharpness r of the agreement", 1000.0, (), "Higher trusts only pixels that all labelled pictures agree on."),
    Switch("mode", "What is spread", "logit", ("logit", "prob"), "Logits, or probabilities."),
)

METHOD = Method(
    id="semsim",
    title="SemSim",
    question="Do similar pixels, within an image and across images, make a few labels go further?",
    summary="A weak view teaches a strong one three times: as it answers, spread over its own similar pixels, and asked of the labelled images' prototypes.",
    paper=_PAPER,
    order=8,
    inputs=("an image",),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.semsim.recipe:parameters",
)
