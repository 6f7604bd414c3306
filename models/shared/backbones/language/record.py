"""What the small language model is, in the same record as a method's, so that the command line can list, train and evaluate it."""

from __future__ import annotations

from models.shared.method import Deviation, Method, Paper, Preset

PRESETS = (
    Preset(
        "embedded",
        "The weights that ship: a few minutes on one CPU core.",
        {"pool": 4000, "tests": 300, "steps": 700, "batch": 64, "lr": 3e-3, "weight_decay": 0.05},
    ),
    Preset(
        "quick",
        "Half a minute: single words in about the right order, little more.",
        {"pool": 200, "tests": 40, "steps": 30, "batch": 32, "lr": 3e-3, "weight_decay": 0.05},
    ),
)

METHOD = Method(
    id="language_small",
    title="Small language model",
    question="Which word comes next in a finding, a note, or the answer to a request?",
    summary="A small decoder of the Llama type that knows the words of the phantoms; frozen inside the rooms that join pictures to a language model.",
    paper=Paper(
        title="LLaMA: Open and Efficient Foundation Language Models",
        authors=("Hugo Touvron", "Thibaut Lavril", "and others"),
        arxiv="2302.13971",
        venue="arXiv preprint",
        year=2023,
        read="The architecture through the code of the transformers package; nothing here reproduces a number of the paper.",
    ),
    order=92,
    inputs=("a text",),
    switches=(),
    presets=PRESETS,
    deviations=(
        Deviation(
            "Size and words",
            "Four layers of width 96, about 0.5 million numbers, whole words instead of word pieces.",
            "It must load from this folder and answer at once on two CPU cores; it knows the words of its own texts alone.",
            "inferred",
        ),
        Deviation(
            "Texts",
            "Made here: findings, notes, and requests with answers about phantoms; nothing written by people about patients.",
            "No corpus of reports may ship, and under phantoms every word can be checked.",
            "inferred",
        ),
        Deviation(
            "Tokens for tasks",
            "One that asks for a picture and five that ask for outlines are reserved and never met in training.",
            "Neural Tuning teaches them itself; a published decoder does not know them either.",
            "derived",
        ),
    ),
    package="models.shared.backbones.language",
)
