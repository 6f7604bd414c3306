"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.self_cleansing.plan import CLEAN, DEFAULT, GUARD, NOISY, NONE, OWN
from models.shared.method import Preset

_CPU = {"epochs": 18, "warmup": 8, "half": True}
_SLICES = {"pool": 224, "tests": 120, "widths": [8, 16, 32], "training": _CPU}
_REAL = {"settings": {NONE: [CLEAN], DEFAULT: [NOISY, OWN]}, "side": 64, "pool": 224, "widths": [8, 16, 32]}

PRESETS = (
    Preset(
        "embedded",
        "What ships: liver-like slices under several kinds of noise, once with pictures turned and mirrored in training, once without, where a network learns "
        "errors by heart; and BUSI and ISIC 2018 with planted noise; 3 seeds. Cut to well under an hour on one free core: a U-Net of 30 thousand numbers, 64 "
        "pixels, at most 224 training pictures (ISIC 128), 18 epochs (BUSI 30, ISIC 14) and bfloat16 in training. Left out against the preset full: the rate "
        "of 70 %, turned outlines alone, the ablations of mixed evidence and of augmentation. A stopped study goes on.",
        {
            "tasks": {
                "liver": {
                    "settings": {
                        NONE: [CLEAN, GUARD],
                        "missing-30": [NOISY, OWN],
                        "asymmetric-30": [NOISY, OWN],
                        "missing-50": [NOISY, OWN],
                        "mixed-30": [NOISY, OWN],
                        "swapped-30": [NOISY, OWN],
                        DEFAULT: [NOISY, OWN],
                    },
                    **_SLICES,
                },
                "plain": {
                    "settings": {
                        NONE: [CLEAN],
                        "missing-30": [NOISY, OWN],
                        "asymmetric-30": [NOISY, OWN],
                        DEFAULT: [NOISY, OWN, "sample_gate", "pixel_gate", "prototypes", "no_ema"],
                    },
                    **_SLICES,
                },
                "busi": _REAL | {"training": _CPU | {"epochs": 30, "warmup": 12}},
                "isic": _REAL | {"pool": 128, "training": _CPU | {"epochs": 14, "warmup": 6, "batch": 8}},
            },
            "seeds": 3,
        },
    ),
    Preset(
        "full",
        "Liver-like slices under five kinds of noise at three rates with every ablation, and two real sets (BUSI, ISIC 2018) with planted noise; 3 seeds, "
        "the larger network, 96 pixels for real sets. Made for a GPU, where a run of the slices takes seconds; on one core one takes about two minutes.",
        {"tasks": ["liver", "plain", "busi", "isic"], "seeds": 3},
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
    Preset("phantoms", "The liver-like slices alone, all settings and arms, 5 seeds.", {"tasks": ["liver", "plain"], "seeds": 5}),
)
