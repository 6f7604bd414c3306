"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.semsim.plan import FIXMATCH, LITERAL, OWN, SUPERVISED
from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "Heart-slice phantoms with 1, 2 and 4 labelled of 164, every ablation at 1, and real skin lesions (ISIC 2018) with 3 and 10 per cent of the "
        "labels; 3 seeds. Meant for a GPU, where several processes may share the work; a stopped study goes on where it was.",
        {"tasks": ["cardiac", "isic"], "seeds": 3},
    ),
    Preset(
        "quick",
        "Small and clear heart-slice phantoms, 4 labelled of 40, few steps, one seed, four arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {
                "cardiac": {
                    "labelled": [4],
                    "arms": [SUPERVISED, FIXMATCH, OWN, LITERAL],
                    "ablations": [],
                    "side": 32,
                    "pool": 40,
                    "tests": 60,
                    "difficulty": 0.2,
                    "training": {"steps": 160, "labelled_batch": 4, "unlabelled_batch": 4, "lr": 0.05},
                    "network": {"windows": 2},
                }
            },
            "seeds": 1,
        },
    ),
    Preset(
        "phantoms",
        "The heart-slice phantoms alone, with every ablation, 5 seeds.",
        {"tasks": ["cardiac"], "seeds": 5},
    ),
)
