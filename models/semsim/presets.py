"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.semsim.plan import FIXMATCH, LITERAL, OWN, SUPERVISED
from models.shared.method import Preset

_SMALL = {"windows": 8, "heads": 2, "dim": 16, "mlp": 32}
"""A fusion module that a processor affords: its sizes are not given in the paper."""
_FEW = {"labelled_batch": 4, "unlabelled_batch": 4}

PRESETS = (
    Preset(
        "embedded",
        "What ships: heart-slice phantoms with 2, 4 and 8 labelled of 164, the printed equations at 2, and real skin lesions (ISIC 2018, 64 pixels) with 3 and 10 "
        "per cent of the labels; 3 seeds. Cut for a processor, where it takes about an hour: batches of 4 and 4, 1,200 steps (lesions 400), a narrow fusion module. "
        "A stopped study goes on where it was.",
        {
            "tasks": {
                "cardiac": {
                    "ablations": [LITERAL],
                    "training": {"steps": 1200, **_FEW},
                    "network": _SMALL,
                },
                "isic": {
                    "side": 64,
                    "training": {"steps": 400, **_FEW},
                    "network": {"widths": [8, 16, 32, 64], **_SMALL},
                },
            },
            "seeds": 3,
        },
    ),
    Preset(
        "gpu",
        "The same at greater length: batches of 8 and 8, 1,500 steps (lesions 3,000 at 96 pixels), every ablation at the fewest labels; 3 seeds. Meant for a GPU, "
        "where several processes may share the work.",
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
        "The heart-slice phantoms alone at greater length, with every ablation, 5 seeds. Meant for a GPU.",
        {"tasks": ["cardiac"], "seeds": 5},
    ),
)
