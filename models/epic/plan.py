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
        "cpu",
        "One seed of the networks that the two rooms compare: no prompts, hub off, one way each, mixed alike, both ways, one side alone. About 40 minutes of one "
        "processor core for EPIC and MITP together. In our trials so short a training had only begun to tell contradicting notes from agreeing ones.",
        {
            "arms": ["full", "off", "no_hub", "to_text", "to_vision", "uniform", "text_only", "image_only"],
            "seeds": 1,
            "pool": 2000,
            "tests": 200,
            "steps": 700,
        },
    ),
    Preset(
        "quick",
        "Few pictures and steps, one seed, two networks; a minute. Shows that everything runs; its numbers mean little.",
        {"arms": ["full", "off"], "seeds": 1, "pool": 64, "tests": 24, "steps": 20, "batch": 8},
    ),
)
