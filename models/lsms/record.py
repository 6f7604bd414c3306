"""The record of this room. Loads no PyTorch."""

from __future__ import annotations

from models.lsms.plan import ARMS, PRESETS
from models.shared.method import Deviation, Method, Paper, Switch

DEVIATIONS = (
    Deviation("The full-scale decoder", "Tokens of all scales on the coarsest grid attend to each other; what they say is added to each scale.", "Its equations could not be read; the abstract says that it models all scales globally.", "inferred"),
    Deviation("One language branch, or one for each kernel", "One, shared; one for each is an ablation.", "The predecessor has one; the abstract does not say.", "inferred"),
    Deviation("Kernel sizes", "5×5 and strips of 3, 5 and 9 at 64 pixels; 7, 11 and 21 at the paper's size.", "The predecessor's are made for 480 pixels.", "inferred"),
    Deviation("Heads of the word attention", "One; the softmax runs over real words only.", "So the predecessor's code has it.", "verified"),
    Deviation("Where a pixel lies", "Two input channels tell row and column; without them is an ablation.", "Convolutions cannot know left from right; the predecessor relies on the padding of its borders.", "inferred"),
    Deviation("Left and right", "The patient's, on a picture seen from the feet: the patient's right is the picture's left.", "So radiologists speak; the paper does not say.", "inferred"),
    Deviation("A phrase that names nothing", "Taught with empty outlines, three phrases of ten, each a true phrase turned false in a trait or two; “no matching lesion” where no probability reaches one half.", "The paper's handling was not read.", "inferred"),
    Deviation("Contrast of pixels and words", "Each pixel with its own sentence, λ = 0.2, temperature 0.1; off is an ablation.", "Version 3 names such a loss; its form was not read.", "inferred"),
    Deviation("Loss of the outline", "Cross-entropy with 0.9 and 1.1, and soft Dice.", "The weights are the predecessor's; Dice helps small lesions.", "inferred"),
    Deviation("Loss where nothing fits", "Also the cross-entropy of the 64 highest pixels, weight 0.5, grown in between a tenth and half of the training; without it is an ablation.", "Soft Dice has no slope left for a certain false outline, so certain ones were never unlearned.", "inferred"),
    Deviation("Augmentation", "A slice is mirrored only together with its side words.", "A mirrored picture makes “left” wrong.", "derived"),
    Deviation("Data", "Made-up slices with none to four lesions, and our own grammar; an order is used only where it is no near tie.", "The paper's set, RefHL-Seg, is not public, and its sentences are not known.", "verified"),
    Deviation("Layer scales at the start", "0.3 in the small network, 0.01 at the paper's size.", "0.01 is the predecessor's, whose encoder comes pretrained; from scratch the small network then learns slowly (loss after 800 steps 0.47 against 0.41).", "inferred"),
    Deviation("Width of the small network's decoder", "32 instead of 48.", "Its 3×3 convolution over all scales takes most of the time on a processor.", "inferred"),
    Deviation("Text encoder", "A small one of our own; a published encoder of BERT's kind through a setting.", "110 million numbers do not fit a page that answers in a blink.", "inferred"),
)  # fmt: skip

METHOD = Method(
    id="lsms",
    title="LSMS",
    question="Can a network outline just the lesion that a phrase names, and leave the others alone?",
    summary="Every block of the encoder looks at several kernel sizes and at the words side by side; a decoder over all scales at once draws the outline.",
    paper=Paper(
        title="LSMS: Language-guided Scale-aware MedSegmentor for Lesion Segmentation in Medical Imaging",
        authors=("Shuyi Ouyang", "Jinyang Zhang", "Xiangye Lin", "Xilai Wang", "Qingqing Chen", "Yen-Wei Chen", "Lanfen Lin"),
        arxiv="2408.17347",
        venue="arXiv preprint",
        year=2025,
        read="Its abstracts and title pages only, and the public code of its predecessor SLViT. What is here is a re-implementation in its manner; no number of the paper is shown.",
    ),
    order=3,
    inputs=("an image", "a phrase"),
    switches=(
        Switch("arm", "Which network answers", "full", tuple(ARMS), "The whole method, or one part taken out."),
        Switch("threshold", "Threshold of the outline", 0.5),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.lsms.recipe:parameters",
)
