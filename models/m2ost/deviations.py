"""What the paper and its code leave open or contradict, and what was decided here."""

from __future__ import annotations

from models.shared.method import Deviation

DEVIATIONS = (
    Deviation(
        "The released forward pass crashes",
        "The middle of the widest view is cut evenly, from 3/8 to 5/8 of its side.",
        "The file takes 3/8 as the lower bound and 3/4 as the upper one, which gives 834 tokens where 589 positions wait. The paper's L, 2L and 3L tokens ask for the even cut.",
        "verified",
    ),
    Deviation(
        "The text and the code disagree on attention",
        "Two profiles: “repo” as the file has it (no normalisation before attention, no residual around CTMM, concatenation and one linear layer), "
        "“paper” as the text has it (normalisation, residual, one weight a pair of views). The shipped networks are “paper”.",
        "At small size the paper's form is better conditioned. The repo profile has the file's 7,043,466 numbers exactly.",
        "verified",
    ),
    Deviation(
        "Random masking of attention",
        "Optional, in training alone: each pair is hidden with probability p, never a token from itself or from the class token. p = 0 by default.",
        "The text names it without a form, and the released file does not do it.",
        "inferred",
    ),
    Deviation(
        "How positions begin",
        "N(0, 1) in the repo profile, as released; N(0, 0.02²) in the paper profile.",
        "The former is larger than the patches' own signal, and a small training starts better near 0.",
        "inferred",
    ),
    Deviation(
        "Augmentation",
        "One flip or quarter turn for all views of a spot, drawn anew each time, with a little stain jitter.",
        "The released data files turn each view by itself and only once, which breaks the common centre; very likely an oversight.",
        "inferred",
    ),
    Deviation(
        "Spots at the slide's edge",
        "White beyond the slide; spots whose closest view lies more than half outside are left out.",
        "The code's check never comes true, as its image library fills up with black.",
        "inferred",
    ),
    Deviation(
        "What a level is",
        "A field of view in µm (112, 224 and 448), read from the scanner's own pyramid and averaged down.",
        "The released code enlarges crops of one picture, whatever the size of its pixels.",
        "inferred",
    ),
    Deviation(
        "How slides are split",
        "By patient. The split by slide is a switch, which shows how far numbers rise when another section of a test patient was trained on.",
        "The released scripts shuffle slide files, so that one patient may stand on both sides.",
        "verified",
    ),
    Deviation(
        "Which correlation",
        "By spot across genes (the paper's), by gene across spots, and the error: always together, beside the average profile.",
        "The average profile scores high by spot without looking at the picture.",
        "derived",
    ),
    Deviation(
        "Which genes",
        "A stored list: per section the 1,500 genes with the largest variance, those common to all, 250 drawn from the sorted list.",
        "The released script draws from an unordered set, which gives another list each time.",
        "verified",
    ),
    Deviation("Negative predictions", "Cut at 0 on the screen alone.", "The output has no bound.", "inferred"),
    Deviation(
        "A view switched off while answering",
        "Nobody listens to it, its mean is 0 in the channel gates and its class token is 0 at the head.",
        "The paper trains a network for each set of views; those are in Compare. This switch asks the trained network.",
        "inferred",
    ),
    Deviation(
        "Size",
        "Views of 32 px, patches of 8, width 48, two blocks, three heads: 217,360 numbers, trained on made-up sections.",
        "So that a slide is predicted on two processor cores; the paper's size is one call away.",
        "inferred",
    ),
    Deviation(
        "Optimiser",
        "AdamW with warm-up and cosine, 7 rounds.",
        "The paper's Adam at 1e-4 for 100 rounds needs a graphics card.",
        "inferred",
    ),
)
