"""How the small segmenter is trained, as named configurations. Loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

PRESETS = (
    Preset(
        name="embedded",
        about="The network that ships: phantoms of three families and 65 outlined ultrasound pictures, a quarter of an hour on one processor core.",
        config={
            "steps": 1500,
            "pictures": 4,  # in one batch
            "objects": 4,  # prompted in each picture
            "rounds": 3,  # the first prompt and two corrections
            "pool": 320,  # phantoms of each family, used over and over
            "lr": 8e-4,
            "weight_decay": 0.05,
            "ema": 0.995,
            "cases": 120,  # held-out pictures measured in each family
        },
    ),
    Preset(
        name="trial",
        about="A few minutes: enough to see the network begin to follow a click, far from the shipped one.",
        config={
            "steps": 300,
            "pictures": 4,
            "objects": 4,
            "rounds": 2,
            "pool": 128,
            "lr": 8e-4,
            "weight_decay": 0.05,
            "ema": 0.98,
            "cases": 20,
        },
    ),
)
