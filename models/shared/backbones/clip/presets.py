"""The trainings of the small CLIP that can be asked for by name."""

from __future__ import annotations

from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "The weights that ship: two stages, about three quarters of an hour on two CPU cores.",
        {"pool": 12_000, "batch": 256, "steps": (900, 1000), "lr": 1e-3, "keep": 32},
    ),
    Preset(
        "quick",
        "A few minutes: tells the modalities apart, little more.",
        {"pool": 1_000, "batch": 128, "steps": (60, 60), "lr": 1e-3, "keep": 32},
    ),
)
