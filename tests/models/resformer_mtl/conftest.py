"""An untrained checkpoint of two tasks, so that the wrapper is tested without waiting for a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.resformer_mtl.plan import ARMS, TASKS
from models.resformer_mtl.training import build
from models.resformer_mtl.weights import task_facts
from models.shared.checkpoints import Card, save
from models.shared.packing import pack

WANTED = {"busi": ("full", "seg_only", "cls_only", "unet"), "oct": ("full", "no_transformer", "no_dfe")}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Path of a checkpoint with random weights for the arms in WANTED."""
    tensors, facts = {}, {}
    for name, arms in WANTED.items():
        task = replace(TASKS[name], arms=arms)
        facts[name] = task_facts(task, None)
        for arm in arms:
            state = pack(build(task, ARMS[arm], seed=1).state_dict())
            tensors |= {f"{name}.{arm}.{parameter}": tensor for parameter, tensor in state.items()}
    card = Card(
        method="resformer_mtl",
        title="test",
        config={},
        datasets=(),
        recipe="none",
        seed=0,
        seconds=1,
        hardware="none",
        parameters=1,
        trained_parameters=1,
        metrics={},
        extra={"tasks": facts},
    )
    path = tmp_path_factory.mktemp("resformer") / "untrained.safetensors"
    save(path, tensors, card)
    return path


@pytest.fixture
def picture():
    """A grey picture that is no square."""
    return np.random.default_rng(0).integers(0, 255, (90, 140), dtype=np.uint8)
