"""The record of this room: what it is called, what can be switched, which presets train it. Loads no PyTorch."""

from __future__ import annotations

from models.resformer_mtl.deviations import DEVIATIONS
from models.resformer_mtl.plan import ARMS
from models.resformer_mtl.presets import PRESETS
from models.shared.method import Method, Paper, Switch

_PAPER = Paper(
    title="Multi-scale Feature Enhancement in Multi-task Learning for Medical Image Analysis",
    authors=("Phuoc-Nguyen Bui", "Duc-Tai Le", "Junghyun Bum", "Hyunseung Choo"),
    arxiv="2412.00351",
    venue="Artificial Intelligence in Medicine (with J. C. Han and V.-N. Pham)",
    year=2025,
    read="The abstract and the published code (networks, losses, data, scripts). The result tables could not be read, so no number of the paper is shown.",
)

_SWITCHES = (
    Switch(
        "arm",
        "Which network answers",
        "full",
        tuple(ARMS),
        "The whole method, its single-task twins, a plain U-Net, or one part taken out.",
    ),
    Switch("transformer", "ResFormer block", True, (), "Off: the encoder is a plain residual network."),
    Switch("dfe", "Feature enhancement", "all", ("all", "skips", "off"), "Dilated branches on what the decoder gets."),
    Switch("scales", "Scales of the classifier", "3+4", ("4", "3+4", "2+3+4"), "The paper's code pools the two deepest."),
    Switch("alpha", "Weight α of the class loss", 0.25, (0.0, 0.1, 0.25, 1.0), "0 trains the outlines alone."),
    Switch("threshold", "Threshold of the outline", 0.5, (), "Lower outlines more."),
)

METHOD = Method(
    id="resformer_mtl",
    title="ResFormer-MTL",
    question="Does one network that outlines the lesion and names the disease do either better than a network for each?",
    summary="One encoder of residual and window-attention stages feeds a decoder, whose maps dilated convolutions refine, and a classifier that pools several scales.",
    paper=_PAPER,
    order=6,
    inputs=("an image", "its pixel spacing, for millimetres"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.resformer_mtl.recipe:parameters",
)
