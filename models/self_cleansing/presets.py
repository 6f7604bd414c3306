"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.self_cleansing.plan import CLEAN, DEFAULT, GUARD, NOISY, NONE, OWN
from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "Liver-like slices under five kinds of noise at three rates with every ablation, and two real sets (BUSI, ISIC 2018) with planted noise; "
        "3 seeds. Made for a GPU, where a run of the slices takes seconds; on one core one takes about two minutes. A stopped study goes on.",
        {"tasks": ["liver", "busi", "isic"], "seeds": 3},
    ),
    Preset(
        "quick",
        "Liver-like slices, few pictures and epochs, one seed, four arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {
                "liver": {
                    "settings": {NONE: [CLEAN, GUARD], DEFAULT: [NOISY, OWN]},
                    "side": 48,
                    "pool": 64,
                    "tests": 24,
                    "widths": [8, 16, 32],
                    "training": {"epochs": 12, "warmup": 6, "batch": 8, "lr": 3e-3},
                }
            },
            "seeds": 1,
        },
    ),
    Preset("phantoms", "The liver-like slices alone, all settings and arms, 5 seeds.", {"tasks": ["liver"], "seeds": 5}),
)
