"""The record of this room; it moves to `__init__.py` once weights ship, until then no list shows the room. Loads no PyTorch."""

from __future__ import annotations

from models.epic.plan import ARMS, PRESETS
from models.shared.method import Deviation, Method, Paper, Switch
from models.shared.prompt_interaction.plan import Plan

DEVIATIONS = (
    Deviation("The hub", "Each prompt keeps its own content and adds the others' prompts, weighted by a softmax of cosines at temperature 0.1.", "Its formula was not read; summaries say lightweight, similarity-based, two-way, own context kept.", "inferred"),
    Deviation("What sets EPIC apart from MITP", "The list of networks alone; the engine is one.", "Nothing readable separates them further, and none is made up.", "inferred"),
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
    id="epic",
    title="EPIC",
    question="Can a frozen reader of pictures and a frozen reader of notes learn to compare, by passing a few prompts between them?",
    summary="A few prompts enter both frozen towers at several layers; in between a hub lets each set take from the other what is similar to it.",
    paper=Paper(
        title="EPIC: Efficient Prompt Interaction for Text-Image Classification",
        authors=("Xinyao Yu", "Hao Sun", "Zeyu Ling", "Ziwei Niu", "Zhenjia Bai", "Rui Qin", "Yen-Wei Chen", "Lanfen Lin"),
        arxiv="2507.07415",
        venue="ICME",
        year=2025,
        read="Its abstract and parts of secondary summaries. The equations here are a reconstruction; no number of the paper is shown.",
    ),
    order=9,
    inputs=("an image", "a note"),
    switches=(
        Switch("arm", "Which network answers", "full", ARMS, "The whole method, or one part changed."),
        Switch("tau", "Temperature of the hub at answering time", 0.1),
        Switch("beta", "Weight of what is taken at answering time", 1.0),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.epic.recipe:parameters",
)
