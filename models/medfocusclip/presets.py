"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "Both studies, phantoms with a planted shortcut and real brain MRI, 3 seeds; about three quarters of an hour on two processor cores once SAM 2 has outlined the "
        "brain pictures, which takes an hour.",
        {"tasks": ["liver_ct", "brain_mri"], "seeds": 3, "clip": "small-fewshot"},
    ),
    Preset(
        "quick",
        "The phantoms alone, few pictures, one seed, two arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {
                "liver_ct": {
                    "pool": 60,
                    "tests": 60,
                    "arms": ["plain", "attention"],
                    "fractions": [1.0],
                    "training": {"epochs": 4.0, "min_steps": 20, "variants": 2},
                }
            },
            "seeds": 1,
            "clip": "small-fewshot",
        },
    ),
    Preset(
        "full",
        "As embedded with 10 seeds; hours, or less with a GPU.",
        {"tasks": ["liver_ct", "brain_mri"], "seeds": 10, "clip": "small-fewshot"},
    ),
)
