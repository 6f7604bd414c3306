"""The record of this room; it moves to `__init__.py` once weights ship, until then no list shows the room. Loads no PyTorch."""

from __future__ import annotations

from models.mit.plan import ARMS, PRESETS
from models.shared.method import Deviation, Method, Paper, Switch

DEVIATIONS = (
    Deviation("Replacing or adding", "Adding (K + (K ⊙ I_d + I_a) g), as the code has it; the printed replacing form is an arm.", "The released code calls itself the paper's variant, and only this form can leave the frozen model untouched exactly.", "verified"),
    Deviation("What the values are compared with", "The value map's shift, head by head.", "So the released code has it; the printed cosine of V and I has no common width.", "verified"),
    Deviation("Padding in the gate's cosine", "Left out; a switch of the network puts it back as released.", "Otherwise a text's answer depends on what it is batched with.", "inferred"),
    Deviation("Numbers of layers", "Counted from 1.", "The released list holds a number that never fires when counted from 0.", "derived"),
    Deviation("Beginning", "PyTorch's own start; beginning as the frozen model is an arm.", "So the released code has it.", "verified"),
    Deviation("Heads of the outline head", "Four.", "The released six do not divide its width.", "derived"),
    Deviation("Several senses", "Changes of keys and values add up, factors of units multiply, each sense has its own L.", "The paper's audio and face inputs were not released.", "inferred"),
    Deviation("Fewer key heads than query heads", "L for every query head, infusion after the repeat.", "The same thing where both numbers are equal.", "inferred"),
    Deviation("Writing with a cache", "Keys and values are kept raw and infused each time they are read; exact without the cosine, or where only the last layer is infused.", "The cosine looks over all tokens read so far, so earlier tokens keep the gate of their time.", "derived"),
    Deviation("Head for a class", "One linear layer on the last token's state.", "Not released.", "inferred"),
    Deviation("Loss of the outline", "Weighted cross-entropy (0.9 and 1.1) plus soft Dice.", "The code offers several; small lesions need the second.", "inferred"),
    Deviation("Rates", "Adam 2e-3 to 3e-3 for everything, a tenth after each third of the steps.", "The released 4e-5, and a tenth of it for the head, are made for a model ten thousand times as large.", "inferred"),
    Deviation("Frozen networks", "This project's small CLIP (192 numbers a picture) and small language model (four layers of width 96).", "LLaMA-2-7B and CLIP ViT-L/14 do not fit a page; any Llama-type decoder goes the same way.", "inferred"),
    Deviation("Tower layers for outlines", "Blocks 5, 3 and 2 of 6.", "18, 12 and 6 of 24, in the same proportions, rounded up.", "derived"),
    Deviation("Data", "Phantoms with notes, and with phrases in a grammar of our own.", "RefCOCO shows no findings; names of the classification sets could not be verified.", "inferred"),
)  # fmt: skip

METHOD = Method(
    id="mit",
    title="MiT",
    question="Can a language model that was never shown a picture be turned by one, without reading a single picture token?",
    summary="One vector of a picture multiplies and shifts the keys and values of a frozen language model, and its feed-forward units; only these maps learn.",
    paper=Paper(
        title="Multimodal Infusion Tuning for Large Models",
        authors=("Hao Sun", "Yu Song", "Xinyao Yu", "Jiaqing Liu", "Yen-Wei Chen", "Lanfen Lin"),
        arxiv="2403.05060",
        venue="ACM Transactions on Multimedia Computing, Communications, and Applications",
        year=2026,
        read="Its abstract, the method's figure and the released code for referring segmentation. The result tables could not be read; no number of the paper is shown.",
    ),
    order=11,
    inputs=("an image", "a note or a phrase"),
    switches=(
        Switch("arm", "Which network answers", "full", tuple(ARMS), "The whole method, or one part changed."),
        Switch("strength", "Infusion dial", 1.0, (), "0 is the frozen model, 1 the trained one."),
        Switch("threshold", "Threshold of the outline", 0.5),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.mit.recipe:parameters",
)
