"""Where the paper leaves a point open or its equations do not work as printed, and what was decided (spec §5), and where this room differs on purpose."""

from __future__ import annotations

from models.shared.method import Deviation

DEVIATIONS = (
    Deviation(
        "Cosines without a temperature cannot reach tau in the cross-image loss",
        "The prototype query divides by a temperature of 0.1; temperature 1 is kept as an arm of its own and on a slider.",
        "Features end in a ReLU, so cosines lie in 0…1 and equation 9 gives at most e/(e+C−1): 0.475 for four classes. With tau at 0.95 equation 13 "
        "then keeps no pixel at all.",
        "derived",
    ),
    Deviation(
        "Cosines without a temperature make a nearly even affinity",
        "The affinity divides by a temperature of 0.1; temperature 1 is kept.",
        "Among 3,136 pixels in four clear clusters temperature 1 puts 43 % of the weight on the right one, 0.1 puts 99.9 % there. Nearly even rows mix the "
        "image's mean into every pixel.",
        "derived",
    ),
    Deviation(
        "Softmax over rows or columns",
        "Rows: every pixel's weights over all pixels add up to 1.",
        "In equation 5 the prediction stands left of the matrix, so each output mixes over the columns' index; cosines are symmetric, so it is the same.",
        "derived",
    ),
    Deviation(
        "Logits or probabilities in p + pM",
        "Logits are spread, then a softmax; spreading probabilities and halving is a setting.",
        "The text speaks of logits, yet tau is compared with the result. Spreading logits doubles their scale: an affinity of the identity sharpens, with the "
        "same answer.",
        "inferred",
    ),
    Deviation(
        "Agreement with r = 1000",
        "Worked out at temperature 1, whatever the query's temperature.",
        "Only then are the divergences about a thousandth, which r = 1000 is made for.",
        "derived",
    ),
    Deviation(
        "Similarities inside the divergence are not normalised",
        "A softmax over classes first.",
        "A divergence is one of probabilities.",
        "inferred",
    ),
    Deviation(
        "Which view the agreement is taken of",
        "The weak one, without gradient; CutMix pastes it like the pseudo-labels.",
        "It is a weight, as the pseudo-label is a target. The paper does not say.",
        "inferred",
    ),
    Deviation("N, the number of sub-regions", "N cells a side, N² in all.", "2, 8 and 14 are no squares, yet all divide 56.", "derived"),
    Deviation(
        "Whether the decoder sees the fused features",
        "It does not; answering runs encoder and decoder alone.",
        "The algorithm and the text on inference say so, though the supervised baseline is listed with the module's numbers.",
        "inferred",
    ),
    Deviation(
        "A class that a labelled picture does not show",
        "The picture is left out of that class's sum; a class that no labelled picture shows gets probability 0. Absent in one cell only: the picture's own "
        "prototype stands in.",
        "The fallback for cells is the paper's, the rest follows.",
        "inferred",
    ),
    Deviation(
        "CutMix and pseudo-labels",
        "Labels, confidences and agreement of the weak view are pasted with the same box, at each map's own size. The pasted picture is the batch's next one.",
        "So that a target lies under what it speaks of.",
        "inferred",
    ),
    Deviation(
        "Gradients",
        "None through weak views; those of the cross-image loss reach the prototypes through the strong query alone.",
        "A target should not move towards its pupil.",
        "inferred",
    ),
    Deviation(
        "Pseudo-labels and Dice",
        "Hard labels of the weak view; soft Dice with squares below, summed over the batch's sure pixels; cross-entropy as a mean over all pixels.",
        "The form of UniMatch's code, whose recipe the paper's is close to.",
        "inferred",
    ),
    Deviation(
        "Row 1 of the paper's loss ablation is not FixMatch",
        "FixMatch is an arm of its own, without the fusion module; one with two strong views stands beside it.",
        "The paper's L_u alone has 0.835 where its FixMatch has 0.722: it holds other parts of the method.",
        "verified",
    ),
    Deviation(
        "Weights when losses are left out",
        "The others are raised to add up to 1.",
        "Else an ablation would also weaken what the unlabelled pictures teach. The paper does not say.",
        "inferred",
    ),
    Deviation(
        "Half of the channels dropped",
        "Of the encoder's maps on their way to the decoder, in strong views, for every arm that uses unlabelled pictures: half on skin lesions, none in the "
        "heart slices' network, whose first stage has 8 channels.",
        "The paper names the share, not the place; a part of the recipe should not be taken for a part of the method.",
        "inferred",
    ),
    Deviation(
        "Supervised training",
        "The labelled loss at full weight, not halved.",
        "So the baseline is not slowed down.",
        "inferred",
    ),
    Deviation(
        "The fusion module's sizes",
        "At the paper's size 14 windows a side, 4 heads, 1×1 projections, hidden width 384, two 3×3 convolutions. What ships has 8 windows, 2 heads, 16 channels and "
        "hidden width 32.",
        "Not given. The former make 784,768 numbers, inside what the two reported totals allow, as dozens of others do; the latter are what a processor affords.",
        "inferred",
    ),
    Deviation(
        "SemSim-minus",
        "A 1×1 convolution of the middle stage.",
        "The paper replaces the module by a plain convolution, not further described.",
        "inferred",
    ),
    Deviation(
        "Learning rate",
        "Polynomial decay with power 0.9, every step.",
        "The paper gives none; UniMatch has it.",
        "inferred",
    ),
    Deviation(
        "Decoding the second strong view",
        "Its features alone are asked, for the cross-image loss; it is decoded only where a network's L_u takes both views.",
        "No loss of SemSim reads its answer, so decoding it would take time and change nothing but the decoder's batch statistics.",
        "derived",
    ),
    Deviation(
        "Size and length",
        "What ships is small and trained briefly: 64 pixels, widths 8 to 64, features of 16 channels at 16×16, batches of 4 and 4, 1,200 steps (skin lesions 400) "
        "instead of 300 epochs. The paper's size is one call away, and the gpu preset trains longer.",
        "A processor should answer and train. A feature then covers a far larger part of the heart than in the paper, whose pictures have 224 pixels.",
        "inferred",
    ),
    Deviation(
        "Data",
        "Made-up heart slices stand for ACDC; ISIC 2018 is the real set, with its own cut of parts. PROMISE12 is not here.",
        "ACDC and PROMISE12 need registration. Numbers are not to be compared with the paper's.",
        "verified",
    ),
)
