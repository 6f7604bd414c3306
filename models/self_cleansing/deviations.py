"""What the abstract leaves open and what was decided (spec §6 and §10), and where this room differs on purpose. Loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Deviation

DEVIATIONS = (
    Deviation(
        "The paper's body was not read",
        "A re-implementation from the published abstract; every equation and setting here is a reconstruction.",
        "Only abstracts and bibliographic facts could be had, and no code was found.",
        "inferred",
    ),
    Deviation(
        "Whether the filter looks at pictures or pixels",
        "At both: a pixel is called wrong where its picture and the pixel itself are called noisy. Each alone is an ablation.",
        "The abstract speaks of noisy samples, and of inaccurate boundaries, which are pixels.",
        "inferred",
    ),
    Deviation(
        "What the Gaussians are fitted to",
        "Pixels: cross-entropy. Pictures: 1 − soft Dice, averaged over the structures in label or prediction.",
        "The abstract names a Gaussian mixture, not its input. Background is left out of a picture's loss, as it would hide a small lesion's fault.",
        "inferred",
    ),
    Deviation(
        "One mixture or one for each class",
        "One for each class of the label; background takes part in a square band of 6 pixels around structures.",
        "Structures have larger losses than background throughout; a joint fit calls small lesions noisy, and easy background would swamp its own.",
        "inferred",
    ),
    Deviation(
        "How the mixture is fitted",
        "As DivideMix's published code does it: losses to 0…1, two components, 10 iterations, threshold one half; at most 20,000 values are looked at. For pictures "
        "the fit starts from the losses well above the median.",
        "The paper's own numbers were not read. Labels without their lesion all have a loss of 1 and would get a Gaussian of their own.",
        "secondary",
    ),
    Deviation(
        "A wide Gaussian wins at both ends",
        "Below the lower mean a label is clean; beyond the point where a wider clean component would win again, w stays as it is there.",
        "So that a larger loss never makes a label cleaner.",
        "inferred",
    ),
    Deviation(
        "Where new labels come from",
        "The teacher's prediction; class prototypes, or the mean of both, as ablations. Prototypes average over epochs with 0.9.",
        "The abstract says “pseudo low-noise labels” and not how they are made.",
        "inferred",
    ),
    Deviation(
        "Hard or soft new labels",
        "Hard, where the evidence is above 0.8; no weights on flipped pixels and no consistency term.",
        "Simplest; the optional terms of the reconstruction are not built.",
        "inferred",
    ),
    Deviation(
        "How often labels are cleansed",
        "After every epoch from the end of warm-up, each time from the labels as given.",
        "So that errors of cleansing do not pile up.",
        "inferred",
    ),
    Deviation(
        "One network or two",
        "One, and its moving average (0.97 a step) as teacher; without the average as an ablation.",
        "The abstract speaks of one network. The average made labels cleaner in trials.",
        "inferred",
    ),
    Deviation(
        "B-model and L-model",
        "Interpreted as best on validation and last epoch. Validation labels are true ones here.",
        "So the words are used in work on noisy labels; how the paper chooses B was not read. Clean validation labels flatter B alike in every arm.",
        "inferred",
    ),
    Deviation(
        "Clean labels",
        "No noise counts as detected where the means are less than 2 pooled standard deviations apart; for pictures also where the noisy part holds less "
        "than 2 %, or the means of 1 − Dice differ by less than 0.1. A pass that would change less than 5 % of the drawn pixels changes none.",
        "Two Gaussians split any cluster. The last two rules are ours: a skewed cluster of good labels passes the first. They also keep very rare errors.",
        "inferred",
    ),
    Deviation(
        "Slices, not volumes",
        "2-D pictures.",
        "Small enough for one processor; the paper's 3-D handling was not read.",
        "inferred",
    ),
    Deviation(
        "Size",
        "A U-Net of 30 thousand numbers at 64 pixels, Adam, 18 epochs of which 8 are warm-up; the preset full has 0.12 million numbers and 30 epochs.",
        "What ships was trained on one processor core; the paper's network was not read.",
        "inferred",
    ),
    Deviation(
        "Data",
        "Made-up liver slices, and BUSI and ISIC 2018 with planted noise. The errors are planted, so what is truly wrong is known.",
        "The paper's liver set is private, and its cardiac set (ACDC) needs registration.",
        "verified",
    ),
    Deviation(
        "Noise",
        "Kinds and the knobs α, β follow public simulators; erosion and dilation go pixel by pixel so that β is met.",
        "How the paper simulates noise was not read.",
        "secondary",
    ),
)
