"""What the small segmenter is, in the same record as a method's, so that the command line can list, train and evaluate it."""

from __future__ import annotations

from models.shared.backbones.segmenter.presets import PRESETS
from models.shared.method import Deviation, Method, Paper

METHOD = Method(
    id="sam2_small",
    title="Small SAM 2",
    question="Which structure did you click on?",
    summary="A small promptable segmenter built from the sam2 package's own parts: a small image encoder, and a prompt encoder and mask decoder that begin from published weights, trained on phantoms and breast ultrasound masks.",
    paper=Paper(
        title="SAM 2: Segment Anything in Images and Videos",
        authors=("Nikhila Ravi", "Valentin Gabeur", "and others"),
        arxiv="2408.00714",
        venue="arXiv",
        year=2024,
        read="The published code and checkpoints through the sam2 package; nothing here reproduces a number of the paper.",
    ),
    order=91,
    inputs=("a picture", "clicks or a box"),
    switches=(),
    presets=PRESETS,
    deviations=(
        Deviation(
            "Size and data",
            "About 4.9 million parameters at 256 px, trained on phantoms of three families and on BUSI's training masks.",
            "It must load from this folder and answer a click in a moment on two CPU cores.",
            "inferred",
        ),
        Deviation(
            "Where training begins",
            "The image encoder from random weights; prompt encoder and mask decoder from the published SAM 2 Hiera-Tiny (Apache-2.0), which then go on learning.",
            "A decoder of random weights takes many thousands of steps to follow a prompt at all: after the same 250 steps the overlap with a box was about 0.3 instead of 0.69.",
            "inferred",
        ),
        Deviation(
            "Video",
            "No memory, no tracking: still pictures alone.",
            "Nothing here is a video.",
            "inferred",
        ),
    ),
    package="models.shared.backbones.segmenter",
)
