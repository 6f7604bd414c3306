"""The room's arms and presets; the study itself is the engine's (`models.shared.prompt_interaction`). Light: no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

ARMS = ("full", "off", "no_hub", "to_text", "to_vision", "uniform", "random", "text_only", "image_only")
"""Of `models.shared.prompt_interaction.plan.ARMS`."""

PRESETS = (
    Preset(
        "embedded",
        "Every network of this room on phantoms with notes, 3 seeds; networks that EPIC and MITP share are trained once for both. A stopped study goes on.",
        {"seeds": 3},
    ),
    Preset(
        "quick",
        "Few pictures and steps, one seed, two networks; a minute. Shows that everything runs; its numbers mean little.",
        {"arms": ["full", "off"], "seeds": 1, "pool": 64, "tests": 24, "steps": 20, "batch": 8},
    ),
)
