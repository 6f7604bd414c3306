"""What the small CLIP is, in the same record as a method's, so that the command line can list, train and evaluate it."""

from __future__ import annotations

from models.shared.backbones.clip.presets import PRESETS
from models.shared.method import Deviation, Method, Paper

METHOD = Method(
    id="clip_small",
    title="Small CLIP",
    question="Which of these descriptions fits this picture?",
    summary="A small image–text encoder on open_clip's own modules, trained on phantoms and public scans; the shared eyes of several rooms.",
    paper=Paper(
        title="Learning Transferable Visual Models From Natural Language Supervision",
        authors=("Alec Radford", "Jong Wook Kim", "and others"),
        arxiv="2103.00020",
        venue="ICML",
        year=2021,
        read="The published code and models through open_clip; nothing here reproduces a number of the paper.",
    ),
    order=90,
    inputs=("a picture", "descriptions"),
    switches=(),
    presets=PRESETS,
    deviations=(
        Deviation(
            "Size and data",
            "About 4.6 million parameters, 128 px, trained on phantoms and on the training parts of small public sets.",
            "It must load from this folder and answer in milliseconds on two CPU cores; it knows nothing beyond those pictures.",
            "inferred",
        ),
        Deviation(
            "Which pairs of a batch belong together",
            "Every picture for which a caption is true counts as its match, not only the one it was written for.",
            "Captions here are made from facts, so truth can be checked; ordinary CLIP would push true pairs apart.",
            "inferred",
        ),
        Deviation(
            "Half of the patches are left out in training",
            "Yes, but for the last fifth of each stage.",
            "Follows FLIP (arXiv 2212.00794): twice as many pictures in the same time, and the encoder learns to work from parts of a scan.",
            "secondary",
        ),
    ),
    package="models.shared.backbones.clip",
)
