"""Training presets of the room. Listing them loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)
WEIGHTS = (0.0, 2.0)

_SHIPPED: dict[str, object] = {
    "backbone": "small",
    "tasks": ["chest", "breast", "brain"],
    "shots": 16,
    "test_per_class": 25,
    "ratios": list(RATIOS),
    "weights": list(WEIGHTS),
    "seeds": [0, 1, 2, 3, 4],
    "sweep_seeds": [0, 1, 2],
    "epochs": 5,
    "batch": 8,
    "lr": 0.1,
    "sampling": "random",
    "context": "a photo of a",
    "kgcoop_weight": 8.0,
}

PRESETS = (
    Preset(
        "embedded",
        "The sweep that ships: every share hidden, both λ and all rivals, three to five seeds; about ten minutes on two cores.",
        _SHIPPED,
    ),
    Preset(
        "quick",
        "One task, one seed, ProMIM at 75 % beside its rivals; under a minute. Shows that everything runs; its numbers mean little.",
        _SHIPPED
        | {"tasks": ["brain"], "ratios": [0.75], "weights": [2.0], "seeds": [0], "sweep_seeds": [], "epochs": 3, "test_per_class": 10},
    ),
)
