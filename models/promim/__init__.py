"""ProMIM: prompt words for CLIP that are shifted by what a masked view of the picture shows (arXiv 2508.04942).

Importing this package loads no PyTorch.
"""

from __future__ import annotations

from models.promim.presets import PRESETS, RATIOS, WEIGHTS
from models.shared.method import Deviation, Method, Paper, Switch

__all__ = ["METHOD"]

_PAPER = Paper(
    title="Accelerating Conditional Prompt Learning via Masked Image Modeling for Vision-Language Models",
    authors=("Phuoc-Nguyen Bui", "Khanh-Binh Nguyen", "Hyunseung Choo"),
    arxiv="2508.04942",
    venue="LAVA workshop at ACM Multimedia 2025, Dublin",
    year=2025,
    read="The abstract and introduction; the rest only in a public secondary account. The rivals CoOp, CoCoOp and KgCoOp were read in "
    "their papers and public code. No code of ProMIM itself was found.",
)

_SWITCHES = (
    Switch("ratio", "Share of the picture hidden from the prompt-maker", 0.75, RATIOS, "0 is CoCoOp; 1 makes the same prompt for every picture."),
    Switch("weight", "Pull towards the hand-written sentence (λ)", 2.0, WEIGHTS, "0 switches the second part of the objective off."),
    Switch("sampling", "How patches are hidden", "random", ("random", "block"), "One by one, or in rectangles."),
    Switch("test_mode", "Mask while answering", "fixed", ("fixed", "full", "mean"), "One mask, none, or the mean over several."),
    Switch("hiding", "What hiding means", "drop", ("drop", "grey"), "Patches are left out, or painted over with grey (our addition)."),
)  # fmt: skip

_DEVIATIONS = (
    Deviation(
        "Which image feature is compared with the class texts",
        "That of the whole picture; the masked one goes to the meta-net alone.",
        "The account read says that only the meta-net's input changes, and the reported base accuracy hardly moves.",
        "inferred",
    ),
    Deviation(
        "Masking while answering",
        "One mask from a fixed seed; the whole picture or the mean over several masks can be chosen.",
        "The reported extra 0.1 ms an image only makes sense if the masked pass is made then, too.",
        "inferred",
    ),
    Deviation(
        "What happens to hidden patches",
        "They are dropped before the first block; painting them grey is a switch, off at first.",
        "The abstract speaks of visible patches only, and a frozen CLIP has no mask token.",
        "verified",
    ),
    Deviation("The masked feature before the meta-net", "Brought to length one.", "CoCoOp's code does so.", "inferred"),
    Deviation(
        "The distance in the pull towards the hand-written sentence",
        "Squared, between vectors of length one: twice KgCoOp's released 1 − cos, so λ = 2 here is 4 there.",
        "The account read says Euclidean distance without more; this form agrees with KgCoOp up to the factor.",
        "inferred",
    ),
    Deviation(
        "Which hand-written sentence",
        "One for each kind of picture, such as “chest radiograph showing a {}.”; “a photo of a {}.” for own pictures without one.",
        "KgCoOp's practice of one sentence for each data set.",
        "inferred",
    ),
    Deviation(
        "A new mask for each step, or one for each picture",
        "A new one each time a picture comes round.",
        "The mask is meant to regularise.",
        "inferred",
    ),
    Deviation(
        "Whether pixels are rebuilt",
        "No; nothing is reconstructed and there is no decoder.",
        "The objective as told holds no such term: the mask acts on the condition.",
        "secondary",
    ),
    Deviation("Rounding of the share hidden", "k = N − round(rN) patches stay.", "49 of 196 at 75 %.", "inferred"),
    Deviation(
        "Size",
        "A small CLIP trained here on phantoms and small public sets, eight times eight patches; the paper uses ViT-B/16.",
        "So that everything runs on two processor cores; any open_clip model can be used with prompts of one's own training.",
        "inferred",
    ),
    Deviation(
        "Width of the meta-net's output",
        "The width of the text tower, which in the small CLIP differs from the joint size.",
        "Both are 512 in the paper; the shift is added to word vectors.",
        "derived",
    ),
)  # fmt: skip

METHOD = Method(
    id="promim",
    title="ProMIM",
    question="Does a class description that is fitted to each picture carry over better to new classes when its maker sees only part of the picture?",
    summary="Learned words before the class name are shifted by a small network that sees a random quarter of the picture's patches.",
    paper=_PAPER,
    order=2,
    inputs=("a picture", "class names", "a ZIP with one folder for each class"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=_DEVIATIONS,
    parameters_of="models.promim.network:parameters",
)
