"""The record of this room: what it is called, what can be switched, which presets train it. Loads no PyTorch."""

from __future__ import annotations

from models.self_cleansing.deviations import DEVIATIONS
from models.self_cleansing.plan import ARMS, DEFAULT, KINDS, SETTINGS
from models.self_cleansing.presets import PRESETS
from models.shared.method import Method, Paper, Switch

_PAPER = Paper(
    title="Deep self-cleansing for medical image segmentation with noisy labels",
    authors=(
        "Jiahua Dong",
        "Yue Zhang",
        "Qiuli Wang",
        "Ruofeng Tong",
        "Shihong Ying",
        "Shaolin Gong",
        "Xuanpu Zhang",
        "Lanfen Lin",
        "Yen-Wei Chen",
        "S. Kevin Zhou",
    ),
    arxiv="2409.05024",
    venue="Medical Physics, doi 10.1002/mp.70007",
    year=2025,
    read="The abstracts alone (arXiv and journal). Equations, settings and tables were not read: this is a re-implementation from the published abstract.",
)

_SWITCHES = (
    Switch(
        "setting",
        "Planted noise",
        DEFAULT,
        tuple(SETTINGS),
        "Which errors were planted into the training labels, and in how many per cent.",
    ),
    Switch(
        "arm",
        "How it was trained",
        "cleansed",
        tuple(ARMS),
        "Cleansed, on the noisy labels as they are, on true labels, or one part changed.",
    ),
    Switch(
        "model", "Which weights answer", "last", ("last", "best", "teacher"), "L is the last epoch, B the best on true validation labels."
    ),
    Switch(
        "gate", "Who may call a pixel wrong", "both", ("both", "sample", "pixel"), "The picture's filter, the pixel's, or both together."
    ),
    Switch(
        "evidence",
        "Source of new labels",
        "prediction",
        ("prediction", "prototypes", "both"),
        "The teacher's prediction, class prototypes, or their mean.",
    ),
    Switch("w", "Threshold of w", 0.5, (), "A label less likely clean than this is noisy."),
    Switch("kappa", "Threshold of κ", 0.8, (), "A new label must be surer than this."),
    Switch("kind", "Noise lab: kind of error", "asymmetric", tuple(KINDS), "What is planted."),
    Switch("alpha", "Noise lab: share of pictures α", 0.5, (), "How many pictures are corrupted."),
    Switch("beta", "Noise lab: strength β", 0.5, (), "How wrong a corrupted picture is."),
)

METHOD = Method(
    id="self_cleansing",
    title="Deep self-cleansing",
    question="Which outlines in a training set are wrong, and can a network put them right while it learns from them?",
    summary="Mixtures of two Gaussians on the losses tell noisy labels from clean ones; where the teacher is sure, it gives noisy pixels new labels.",
    paper=_PAPER,
    order=9,
    inputs=("an image", "masks to be checked"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.self_cleansing.recipe:parameters",
)
