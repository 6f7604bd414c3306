"""Training presets of the room. Listing them loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

_SHIPPED: dict[str, object] = {
    "patients": 10,
    "validation_patients": 3,
    "test_patients": 6,
    "arms": ["full", "levels01", "level0", "level1", "level2", "no_dpe", "no_ctmm", "no_ccmm", "no_both"],
    "leak_arms": ["full"],
    "seeds": [0, 1, 2],
    "epochs": 7,
    "batch": 64,
    "lr": 4e-3,
    "real": True,
}

TOP = 50
"""Genes of the real sections whose correlation is also averaged by themselves: those a network predicts best."""
VARIANTS = {
    "mean": "Average profile of the training section",
    "level0": "One view: the spot, from scratch",
    "scratch": "M2OST, three views, from scratch",
    "pretrained": "M2OST, three views, begun from the network trained on made-up sections",
}
"""What is trained on the real sections."""

PRESETS = (
    Preset(
        "embedded",
        "What ships: nine networks with three seeds on twenty made-up sections, and the same with a leaking split; about an hour on one processor core.",
        _SHIPPED,
    ),
    Preset(
        "quick",
        "Three networks, one seed, four sections, few rounds; two minutes, most of them for drawing. Shows that everything runs; its numbers mean little.",
        _SHIPPED
        | {
            "patients": 2,
            "validation_patients": 0,
            "test_patients": 1,
            "arms": ["full", "level0", "no_ctmm"],
            "leak_arms": [],
            "seeds": [0],
            "epochs": 4,
            "real": False,
        },
    ),
)
