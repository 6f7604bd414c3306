"""How the small segmenter is trained, as named configurations. Loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

_PACE = {"pictures": 4, "objects": 4, "rounds": 2, "muon": 0.01, "lr": 6e-4, "weight_decay": 0.02}

PRESETS = (
    Preset(
        name="embedded",
        about="The network that ships: phantoms of three families and 65 outlined ultrasound pictures, half an hour on one processor core. "
        "Needs the published weights of SAM 2 Hiera-Tiny, from which prompt encoder and mask decoder begin.",
        config=_PACE
        | {
            "steps": 1800,
            "alone": 1000,
            "ema": 0.995,
            "pool": 640,  # phantoms of each family, used over and over
            "cases": 120,  # held-out pictures measured in each family
        },
    ),
    Preset(
        name="trial",
        about="A few minutes: enough to see the network begin to follow a box, far from the shipped one.",
        config=_PACE | {"steps": 200, "alone": 200, "ema": 0.98, "pool": 128, "cases": 20},
    ),
)
