"""A tiny study, run once, whose checkpoint serves the tests of wrapper and casebook."""

from __future__ import annotations

import numpy as np
import pytest

from models.self_cleansing import recipe, study
from models.self_cleansing.plan import read_plan
from models.shared.checkpoints import save

TINY = {
    "tasks": {
        "liver": {
            "settings": {"none": ["clean", "guard"], "asymmetric-50": ["noisy", "cleansed", "both_evidences"]},
            "side": 32,
            "pool": 16,
            "tests": 10,
            "widths": [4, 8],
            "training": {"epochs": 3, "warmup": 1, "batch": 4},
        }
    },
    "seeds": 2,
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """(plan, folder, card, path of the checkpoint) of a finished tiny study."""
    plan, folder = read_plan(TINY), tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.shared.metrics.RESAMPLES", 20)
        for run in study.pending(plan, folder):
            for _ in study.run_one(plan, run, folder):
                pass
        card = recipe.card_of(plan, folder, TINY)
    path = tmp_path_factory.mktemp("made") / "self_cleansing.safetensors"
    return plan, folder, save(path, recipe.tensors_of(plan, folder), card), path


@pytest.fixture
def picture():
    """A grey picture that is no square."""
    return np.random.default_rng(0).integers(0, 255, (90, 140), dtype=np.uint8)
