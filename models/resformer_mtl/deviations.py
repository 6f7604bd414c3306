"""Where the paper and its published code leave a point open or disagree, and what was decided (spec §5), and where this room differs on purpose."""

from __future__ import annotations

from models.shared.method import Deviation

DEVIATIONS = (
    Deviation(
        "Two wirings in the published code",
        "Sequential (convolution and merged tokens summed, then attention) with feature enhancement is ResFormer; the parallel wiring is an ablation.",
        "It fits the abstract, which speaks of a block that integrates both, and it is the file that holds the enhancement; the parallel one is named "
        "“without FEM” in the scripts.",
        "inferred",
    ),
    Deviation(
        "Feature enhancement at the bottleneck",
        "On all four scales; on the skips alone by a switch.",
        "The code enhances the bottleneck, too, though the abstract speaks of skips. It costs 17 of 56 million numbers.",
        "verified",
    ),
    Deviation(
        "Dilation wider than the map",
        "6, 12 and 18 at the paper's size; narrower ones for each stage in the small network.",
        "On a map of 14 pixels a dilation of 18 falls into the padding everywhere but in the centre: that branch is a 1×1 convolution.",
        "derived",
    ),
    Deviation(
        "Scales of the classifier",
        "The two deepest; others by a setting, the last alone as an ablation.",
        "The abstract speaks of several encoder scales, the code pools f3 and f4.",
        "verified",
    ),
    Deviation(
        "No activation in the class head",
        "Kept: two linear layers in a row, which together are one of rank 32.",
        "So the code has it.",
        "verified",
    ),
    Deviation(
        "One loss for each class, also where one class excludes the others",
        "Kept: each class against the rest. Scores are shown as they are; accuracy takes the highest.",
        "So the code has it, also for skin lesions.",
        "verified",
    ),
    Deviation(
        "Channel attention inside the transformer's MLP",
        "Tokens and channels are put in order first.",
        "The code reshapes without transposing, so that places and channels are mixed up. A setting keeps that for the curious.",
        "verified",
    ),
    Deviation(
        "Dice loss",
        "The target is one-hot first; the denominator has plain sums; sums run over the batch, with 1e-5 added.",
        "As published the class stops with an assertion. Whether its denominator has squares was not read.",
        "inferred",
    ),
    Deviation(
        "Clamp of the focal loss",
        "The equation keeps 1e-3; in training it is 1e-7.",
        "Below the clamp there is no gradient: a rare structure that falls under it would stay lost.",
        "inferred",
    ),
    Deviation(
        "Which weights are kept",
        "The last ones, after the decay to zero. No picture is looked at to choose a step.",
        "The published script keeps the best on the test folder, which flatters it.",
        "verified",
    ),
    Deviation(
        "Grey levels",
        "0 to 1.",
        "The code feeds 0 to 255 without scaling.",
        "verified",
    ),
    Deviation(
        "Masks are resized and turned by nearest pixel",
        "So that no edge is eaten.",
        "The code resizes linearly and cuts to whole numbers, which thins every outline.",
        "verified",
    ),
    Deviation(
        "Labels that follow from the mask",
        "Read off the mask again after every turn.",
        "A turned picture may lose a lesion over the edge; its label then follows.",
        "inferred",
    ),
    Deviation(
        "Size",
        "What ships is small: 128 pixels, widths 8 to 64, one residual block a stage, a first convolution of stride 2. The paper's size is one setting away.",
        "56 million numbers at 512 pixels need a GPU.",
        "inferred",
    ),
    Deviation(
        "Data",
        "OCT-like phantoms stand for RETOUCH, which needs registration; BUSI is the real set.",
        "The paper's own sets are RETOUCH and ISIC 2017. Its result tables could not be read, so none is shown.",
        "verified",
    ),
    Deviation(
        "Pictures without a mask",
        "They teach the classes alone; half of every batch has a mask.",
        "Of BUSI's 780 pictures 149 have a mask here; the paper's sets have one for every picture.",
        "inferred",
    ),
)
