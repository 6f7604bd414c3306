"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.resformer_mtl.plan import OWN, TWINS
from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "OCT-like phantoms with every ablation, and real breast ultrasound (BUSI) with both twins and a U-Net; 3 seeds. About two hours on one "
        "processor core, minutes with a GPU; a stopped run goes on where it was.",
        {
            "tasks": {
                "oct": {"arms": [OWN, *TWINS, "unet", "no_transformer", "no_dfe", "last_scale", "parallel", "alpha_1"]},
                "busi": {},
            },
            "seeds": 3,
        },
    ),
    Preset(
        "quick",
        "OCT-like phantoms, few pictures and steps, one seed, four arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {
                "oct": {
                    "arms": ["full", "seg_only", "cls_only", "unet"],
                    "side": 64,
                    "pool": 24,
                    "tests": 60,
                    "training": {"steps": 60},
                }
            },
            "seeds": 1,
        },
    ),
    Preset(
        "full",
        "All four sets, phantoms of breast ultrasound and brain MR too, one more weight α, 5 seeds; five hours on one core, or far less with a GPU.",
        {"tasks": ["oct", "busi", "breast", "brain"], "seeds": 5},
    ),
)
