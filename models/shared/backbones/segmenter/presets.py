"""How the small segmenter is trained, as named configurations. Loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

_LEG = {
    "side": 256,
    "steps": 1500,
    "alone": 150,
    "pictures": 4,
    "objects": 4,
    "rounds": 3,
    "boxes": 0.45,
    "lr": 8e-4,
    "weight_decay": 0.05,
    "ema": 0.995,
}

PRESETS = (
    Preset(
        name="embedded",
        about="The network that ships: phantoms of three families and 65 outlined ultrasound pictures, half an hour on one processor core.",
        config={
            "legs": [_LEG, _LEG | {"alone": 0, "boxes": 0.5, "lr": 6e-4}],
            "pool": 320,  # phantoms of each family, used over and over
            "cases": 120,  # held-out pictures measured in each family
        },
    ),
    Preset(
        name="trial",
        about="A few minutes on small pictures: enough to see the network begin to follow a click, far from the shipped one.",
        config={"legs": [_LEG | {"side": 128, "steps": 400, "pictures": 8, "rounds": 2, "ema": 0.98}], "pool": 128, "cases": 20},
    ),
)
