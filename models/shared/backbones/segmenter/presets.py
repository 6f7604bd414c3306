"""How the small segmenter is trained, as named configurations. Loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

PRESETS = (
    Preset(
        name="embedded",
        about="The network that ships: phantoms of three families and 65 outlined ultrasound pictures, half an hour on one processor core.",
        config={
            "steps": 2000,
            "pictures": 8,  # in one batch
            "objects": 4,  # prompted in each picture
            "rounds": 3,  # the first prompt and two corrections
            "pool": 1200,  # phantoms of each family, used over and over
            "lr": 8e-4,
            "weight_decay": 0.05,
            "ema": 0.995,
            "cases": 120,  # held-out pictures measured in each family
        },
    ),
    Preset(
        name="trial",
        about="A few minutes: enough to see masks appear, far from the shipped network.",
        config={
            "steps": 120,
            "pictures": 8,
            "objects": 4,
            "rounds": 2,
            "pool": 200,
            "lr": 8e-4,
            "weight_decay": 0.05,
            "ema": 0.98,
            "cases": 20,
        },
    ),
)
