"""The record of this room; it moves to `__init__.py` once weights ship, until then no list shows the room. Loads no PyTorch."""

from __future__ import annotations

from models.mitp.plan import ARMS, PRESETS
from models.shared.method import Deviation, Method, Paper, Switch
from models.shared.prompt_interaction.plan import Plan

DEVIATIONS = (
    Deviation("Consolidation", "Cosines of each own prompt with each foreign one, a softmax at temperature 0.1, and the weighted sum; one bank of both sets and pairs alone are ablations.", "Said to be parameter-free and similarity-based; its formula was not read.", "inferred"),
    Deviation("Activation", "Own content plus what was taken, without a nonlinearity; GELU is an ablation.", "The word belongs to the memory metaphor: recall.", "inferred"),
    Deviation("Memory", "None beside the prompts themselves, which go from rung to rung.", "No source speaks of a separate store.", "inferred"),
    Deviation("The frozen towers", "This project's small CLIP: 6 vision layers of width 192 and 4 text layers of width 160.", "CLIP ViT-L/14 in secondary reviews of MITP, not read; the share of numbers that learn is worked out for whatever is loaded.", "inferred"),
    Deviation("Which layers", "The last 3 text layers, each with the vision layer at the same share of the depth.", "Not given; towers of unequal depth need a rule.", "inferred"),
    Deviation("How many prompts", "4.", "Not given.", "inferred"),
    Deviation("The note's mask", "Prompts see prompts and the whole note; words see prompts and what stands before them.", "With the plain causal mask prompts before the note could not read it, and prompts behind it could not be heard.", "inferred"),
    Deviation("Width maps", "One pair, shared by all rungs; the map from note to picture also makes the first picture prompts.", "Maps for every rung would exceed the numbers that are quoted.", "inferred"),
    Deviation("Read-out", "Frozen norms and projections of both towers, side by side, and a linear head; prompts are not read.", "Not given; so the network without prompts is exactly the frozen one.", "inferred"),
    Deviation("Task and data", "Phantoms with notes that agree, contradict or belong elsewhere.", "UPMC-Food101, SNLI-VE and MM-IMDB hold no scans.", "inferred"),
    Deviation("Training", f"AdamW {Plan.lr:g}, 5 % warm-up and cosine, {Plan.steps} steps of {Plan.batch} pairs.", "Not given.", "inferred"),
)  # fmt: skip

METHOD = Method(
    id="mitp",
    title="MITP",
    question="Do prompts that acquire, consolidate and activate, layer after layer, let a frozen pair of encoders compare a note with a picture?",
    summary="Prompts acquire what a frozen layer knows, a memory hub consolidates both sets by similarity, and activates new prompts for the next layer.",
    paper=Paper(
        title="Memory-Inspired Temporal Prompt Interaction for Text-Image Classification",
        authors=("Xinyao Yu", "Hao Sun", "Ziwei Niu", "Rui Qin", "Zhenjia Bai", "Yen-Wei Chen", "Lanfen Lin"),
        arxiv="2401.14856",
        venue="arXiv preprint",
        year=2024,
        read="Its abstract and parts of secondary reviews. The equations here are a reconstruction; no number of the paper is shown.",
    ),
    order=10,
    inputs=("an image", "a note"),
    switches=(
        Switch("arm", "Which network answers", "full", ARMS, "The whole method, or one part changed."),
        Switch("tau", "Temperature of the hub at answering time", 0.1),
        Switch("beta", "Weight of what is taken at answering time", 1.0),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.mitp.recipe:parameters",
)
