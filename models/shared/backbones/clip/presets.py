"""The trainings of the small CLIP that can be asked for by name."""

from __future__ import annotations

from models.shared.method import Preset

_RATES = {"muon": 0.005, "adam": 5e-4}

PRESETS = (
    Preset(
        "embedded",
        "The weights that ship: three phases, about three quarters of an hour on two CPU cores.",
        {
            "pool": 12_000,
            "phases": (
                {"steps": 2400, "batch": 64, "captions": False, "left_out": True} | _RATES,
                {"steps": 600, "batch": 128, "captions": True, "left_out": True} | _RATES,
                {"steps": 1200, "batch": 128, "captions": True, "left_out": False} | _RATES,
            ),
        },
    ),
    Preset(
        "quick",
        "A few minutes: tells the modalities apart, little more.",
        {
            "pool": 500,
            "phases": (
                {"steps": 60, "batch": 32, "captions": True, "left_out": True} | _RATES,
                {"steps": 60, "batch": 32, "captions": True, "left_out": False} | _RATES,
            ),
        },
    ),
)
