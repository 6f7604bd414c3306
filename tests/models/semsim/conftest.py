"""An untrained checkpoint, so that the wrapper is tested without waiting for a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.semsim.plan import ARMS, TASKS
from models.semsim.study_data import labelled_rows, material, to_bytes
from models.semsim.training import build
from models.semsim.weights import level_key, task_facts
from models.shared.checkpoints import Card, save
from models.shared.packing import pack

WANTED = ("semsim", "supervised", "semsim_minus")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Path of a checkpoint with random weights for the arms in WANTED, with 1 and 2 labelled slices."""
    task = replace(TASKS["cardiac"], labelled=(1, 2), arms=WANTED, ablations=(), pool=6, tests=4)
    train = material(task).train.rows(labelled_rows(6, 2, 0))
    tensors = {"cardiac.pictures": to_bytes(train.x), "cardiac.masks": train.masks}
    for count in (1, 2):
        for arm in WANTED:
            state = pack(build(task.config(ARMS[arm]), seed=count).state_dict())
            tensors |= {f"cardiac.{level_key(count)}.{arm}.{name}": tensor for name, tensor in state.items()}
    card = Card(
        method="semsim",
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
        extra={"tasks": {"cardiac": task_facts(task, 6, 2.0)}},
    )
    path = tmp_path_factory.mktemp("semsim") / "untrained.safetensors"
    save(path, tensors, card)
    return path


@pytest.fixture
def picture():
    """A grey picture that is no square."""
    return np.random.default_rng(0).integers(0, 255, (90, 140), dtype=np.uint8)
