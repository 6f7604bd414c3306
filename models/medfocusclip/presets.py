"""The studies' presets. Listing them loads no PyTorch."""

from __future__ import annotations

from models.shared.method import Preset

PRESETS = (
    Preset(
        "embedded",
        "Both studies, phantoms with a planted shortcut and real brain MRI, 3 seeds; about half an hour on two processor cores.",
        {"studies": ["liver_ct", "brain_mri"], "seeds": 3},
    ),
)
