"""The record of this room; it moves to `__init__.py` once weights ship, until then no list shows the room. Loads no PyTorch."""

from __future__ import annotations

from models.neural_tuning.plan import ARMS, PRESETS
from models.shared.method import Deviation, Method, Paper, Switch

DEVIATIONS = (
    Deviation("Active share when answering", "Sparse, with exactly ρ; all neurons active is a switch and an arm.", "The released evaluation runs sparse; its inference code, with a flag for dense, is not released.", "inferred"),
    Deviation("Neurons of a task", "Chosen for each token in each layer; what is shown for a task is a count of what fired.", "So the released code has it; nothing in it is assigned to a task.", "verified"),
    Deviation("Random change of the share", "In training only.", "The release draws it when evaluating too, so that its answers differ a little each time.", "verified"),
    Deviation("Full share", "With ρ = 1 there is no threshold and no ReLU.", "The κ-th smallest does not exist for κ = 0.", "derived"),
    Deviation("What learns of the words' tables", "The six task tokens' rows; whole tables are a setting.", "The release trains both tables whole, which for a large model is most of what learns.", "verified"),
    Deviation("Start of the guidance", "PyTorch's own start; beginning as the frozen model is an arm.", "So the released code has it.", "verified"),
    Deviation("State that draws", "The one that predicts the task token.", "So the released code has it.", "verified"),
    Deviation("Writing", "The likeliest word each time; when it is a task token, its decoder takes the state at hand; a token said twice counts once.", "Inference code is not released; this goes with how training reads states.", "inferred"),
    Deviation("Keys, values and queries guided together", "Three slices.", "The release gives keys and values the same slice and leaves the third unused.", "verified"),
    Deviation("Fewer key heads than query heads", "Guidance as wide as keys and values are.", "The same thing where both numbers are equal.", "inferred"),
    Deviation("Place of object tokens", "At the answer's end in the order of first mention; behind the words that name them is a setting.", "The code does the first, the paper's figure shows the second.", "verified"),
    Deviation("Drawing's filler tokens", "Left out.", "They are masked out and change nothing; a law checks it.", "derived"),
    Deviation("Drawn pictures", "The network predicts a picture's feature; what is shown are the nearest phantoms and a small painter's picture, trained here on phantoms.", "The paper's image generator is not in the repository.", "inferred"),
    Deviation("Scale of picture features", "The small tower's vectors divided by 4.", "With the released weight of ten, ours would drown the other tasks; directions stay as they are.", "inferred"),
    Deviation("Outline loss", "Half weighted cross-entropy, half Dice: the code's defaults.", "Its example run has Dice alone.", "verified"),
    Deviation("Rates", "AdamW 3e-3 with decay 0.1, a twentieth of the steps to warm up, then a cosine; batches of 32.", "The released 1e-4 is made for a model ten thousand times as large.", "inferred"),
    Deviation("Dropout of the guidance", "0.05.", "The value used was not read.", "inferred"),
    Deviation("Sizes", "32 neurons in each of the upper two of four layers; the feature decoder four times as wide for its width as the paper's.", "128 in the upper 16 of 32 layers; our states are a fortieth as wide.", "inferred"),
    Deviation("Frozen networks", "This project's small CLIP (65 tokens a picture) and small language model (four layers of width 96).", "LLaMA-2-7B and CLIP ViT-L/14 do not fit a page; any Llama-type decoder goes the same way.", "inferred"),
    Deviation("Tower layers for outlines", "Blocks 6, 5 and 4 of 6.", "24, 18 and 15 of 24, in the same proportions, rounded up.", "derived"),
    Deviation("Data", "Phantoms with requests and answers in a grammar of our own; the rule of what is more suspicious is ours and no clinical truth.", "The paper's benchmark is made of everyday photographs and could not be fetched.", "inferred"),
    Deviation("Shared and special neurons", "Firing on at least ρ of every task's tokens; or of one task's, and on less than half of that elsewhere.", "The thresholds are ours; the code has no such division.", "inferred"),
)  # fmt: skip

METHOD = Method(
    id="neural_tuning",
    title="Neural Tuning",
    question="Can one frozen language model describe, outline, reason and draw, when a few neurons beside it decide which of them speak?",
    summary="Beside the upper layers of a frozen language model, a few neurons are chosen for every token; they nudge its queries and values, and special tokens draw.",
    paper=Paper(
        title="One Framework to Rule Them All: Unifying Multimodal Tasks with LLM Neural-Tuning",
        authors=("Hao Sun", "Yu Song", "Jihong Hu", "Jiaqing Liu", "Yen-Wei Chen", "Lanfen Lin"),
        arxiv="2408.03001",
        venue="Pattern Recognition (as its repository says)",
        year=2024,
        read="Its abstract, its figures and the released tuning code. The result tables could not be read, nor the order of the authors in its second "
        "version; no number of the paper is shown.",
    ),
    order=12,
    inputs=("an image", "a request"),
    switches=(
        Switch("arm", "Which network answers", "full", tuple(ARMS), "The whole method, or one part changed."),
        Switch("rho", "Active share ρ", 0.4, (), "The share of neurons that speaks for each token; trained at 0.4."),
        Switch("alpha", "Memory over depth α", 0.2, (), "How much a layer keeps of the neurons below; trained at 0.2."),
        Switch("dense", "All neurons active", False, (), "No choice at all; not what it was trained for."),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.neural_tuning.recipe:parameters",
)
