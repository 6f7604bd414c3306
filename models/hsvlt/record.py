"""The record of this room; it moves to `__init__.py` once weights ship, until then no list shows the room. Loads no PyTorch."""

from __future__ import annotations

from models.hsvlt.config import Config
from models.hsvlt.plan import ARMS, PRESETS, Task
from models.shared.method import Deviation, Method, Paper, Switch

DEVIATIONS = (
    Deviation("Do words write back into the picture's features?", "No; a switch adds it.", "So the released code has it; the abstract can be read the other way.", "verified"),
    Deviation("Putting the scales together", "Side by side, with one weight a label and channel; the decoder along the label list is an ablation.", "The only live path of the released code; the decoder mixes labels that happen to be neighbours.", "verified"),
    Deviation("Which S of a stage", "The last block's.", "So the released code has it.", "verified"),
    Deviation("Pixels", "0 to 1, not normalised.", "So the released training log shows; a pretrained trunk would want its own.", "verified"),
    Deviation("Pretraining", f"The visual trunk first learns, in {Task.pretrain:,} steps, which findings 32-pixel crops of made-up pictures show; the masks say where to crop. A trunk that begins untrained is an ablation.", "The released run begins with ConvNeXt-Small of ImageNet-22k, whose objects fill the picture; without such a lesson small nodules and bands were not learned in 6,000 steps.", "inferred"),
    Deviation("Size and training", f"{Task.side} pixels, 490 thousand numbers, layer scale {Config.layer_scale:g}, AdamW {Task.lr:g} with a cosine.", "A processor should train it in minutes and answer at once.", "inferred"),
    Deviation("Starting weights", "Linear layers begin with a spread of one over the root of their inputs.", "At 16 to 128 channels the released 0.02 leaves gradients of 1e-9 and less, which AdamW no longer sees: after 500 steps nothing was learned.", "inferred"),
    Deviation("Label vectors", "The text tower of this project's small CLIP; random and spelled ones are ablations; a published BERT can be named.", "BERT's vectors are too large to ship, and any frozen words fit the code's interface.", "inferred"),
    Deviation("Heads", "One.", "So the released configuration has it.", "verified"),
    Deviation("Loss", "Mean binary cross-entropy; the asymmetric loss is an ablation.", "So the released run has it.", "verified"),
    Deviation("Data", "Made-up chest pictures with eight findings; brain MRI and BUSI apart.", "COCO, VOC and NUS-WIDE show no findings.", "inferred"),
    Deviation("Augmentation", "Mirroring, brightness, contrast and a little noise; no crops.", "A crop may cut a finding away and leave its label.", "inferred"),
)  # fmt: skip

METHOD = Method(
    id="hsvlt",
    title="HSVLT",
    question="Can a reader of findings look for small things in fine maps and for large ones in coarse maps, each by its own words?",
    summary="In every block of a four-stage network each finding's words look at the picture; what they see at all four scales decides together.",
    paper=Paper(
        title="HSVLT: Hierarchical Scale-Aware Vision-Language Transformer for Multi-Label Image Classification",
        authors=(
            "Shuyi Ouyang",
            "Hongyi Wang",
            "Ziwei Niu",
            "Zhenjia Bai",
            "Shiao Xie",
            "Yingying Xu",
            "Ruofeng Tong",
            "Yen-Wei Chen",
            "Lanfen Lin",
        ),
        arxiv="2407.16244",
        venue="ACM Multimedia 2023",
        year=2023,
        read="Its abstract, a figure's caption, and the released code with its training log. The result tables for VOC2007 and NUS-WIDE could not be read.",
    ),
    order=6,
    inputs=("an image", "a list of findings"),
    switches=(
        Switch("arm", "Which network answers", "full", tuple(ARMS), "The whole method, or one part changed."),
        Switch("threshold", "Probability from which a finding is reported", 0.5),
    ),
    presets=PRESETS,
    deviations=DEVIATIONS,
    parameters_of="models.hsvlt.recipe:parameters",
)
