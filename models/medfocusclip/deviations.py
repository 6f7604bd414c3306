"""Where the paper leaves a point open and what was decided (spec §8, points A to I), and where this room differs on purpose."""

from __future__ import annotations

from models.shared.method import Deviation

DEVIATIONS = (
    Deviation(
        "A. Is attention changed inside CLIP, or only the picture?",
        "Only the picture (painted mode). The attention mode is an extension of ours, labelled so everywhere.",
        "All published figures show a painted picture that goes into CLIP's ordinary image encoder.",
        "verified",
    ),
    Deviation(
        "B. How SAM 2 is prompted",
        "Automatically, from a grid of points.",
        "The figures show many segments in several colours, single letters of a burnt-in label among them; nobody clicks on letters.",
        "inferred",
    ),
    Deviation(
        "C. Colours",
        "Random, drawn from the picture's hash; fixed colours by size and colours by brightness can be chosen.",
        "The paper is silent. Random colours carry no label but add noise, which the palette test shows.",
        "inferred",
    ),
    Deviation(
        "D. Opacity and contours",
        "Opacity 0.5, no contours.",
        "Slopes of 0.47 to 0.49 were measured on the paper's figure; no contours are visible there.",
        "derived",
    ),
    Deviation(
        "E. The two losses and their balance",
        "Cross-entropy and a two-way contrastive loss within the batch, λ = 0.5.",
        "Only the form λ L_c + (1 − λ) L_e is known, from a secondary source.",
        "secondary",
    ),
    Deviation(
        "F. What is trained",
        "The last blocks, the final norm and the projection of the image tower; how many blocks is said on the card. The same for every mode.",
        "The paper is silent; a comparison is fair only when both sides train alike.",
        "inferred",
    ),
    Deviation(
        "G. Which CLIP",
        "A small CLIP of this project, pictures of 128 pixels; published ones (ViT-B and larger) load by name.",
        "The paper's own is unknown. The small one trains on two processor cores.",
        "inferred",
    ),
    Deviation(
        "H. Painting at test time",
        "Test pictures are painted by the same generator.",
        "The figure of the method has it on the way to the answer.",
        "verified",
    ),
    Deviation(
        "I. Without SAM 2's weights",
        "A classical region grower answers behind the same call, and is named as such.",
        "The first run must work without a network connection.",
        "inferred",
    ),
    Deviation(
        "SAM 2's grid and thresholds",
        "On the brain MRI set 5 × 5 points, predicted overlap 0.6, stability 0.8, network at 512 pixels; the package's own are 32 × 32, 0.8, 0.95 and 1024.",
        "On pictures of 128 pixels the package's thresholds leave one segment or none, and its grid costs forty times as much on a processor.",
        "inferred",
    ),
    Deviation(
        "The fusion module",
        "Built as v + W₂ GELU(W₁[v; v_roi]) with W₂ = 0 at the start; off by default.",
        "A secondary source names such a module without describing it.",
        "secondary",
    ),
    Deviation(
        "Few-shot subsets",
        "Drawn within each class, each smaller share inside the larger ones.",
        "The paper gives shares of the training set (5 to 100 %) and no way of drawing; nested subsets keep the curve free of redrawing.",
        "inferred",
    ),
)  # fmt: skip
