"""What trained networks answer for one held-out case: the same input through the network that each optimiser ended with.

The shipped networks are the first reported run of the study (`recipe.py`); a visitor's own comes from `training.py`. Probabilities are
softmax outputs of networks trained for this demonstration: they say nothing about a patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from models.shared.checkpoints import CheckpointRefused, load
from models.shared.data import load as load_data
from models.shared.method import get as get_method
from models.sofim.arms import ARMS
from models.sofim.tasks import get, make_model

OWN = "own"
ANOTHER_TASK = "These weights belong to another task; choose the task they were trained on."


@dataclass(frozen=True)
class Case:
    """One test case. picture: (H, W) float32 in 0…1, or None for a table row; values: the row's numbers, or None for a picture."""

    task: str
    index: int
    count: int
    picture: np.ndarray | None
    values: np.ndarray | None
    classes: tuple[str, ...]
    truth: int


@dataclass(frozen=True)
class Answer:
    """What one network says: class probabilities (K,), and whether the most probable class is the true one."""

    net: str
    label: str
    colour: int
    probabilities: np.ndarray
    right: bool


def case(task_id: str, index: int) -> Case:
    """The test case with that number, counted round: index -1 is the last, one past the end the first. Raises DataNotHere."""
    data = load_data(get(task_id).dataset)
    count = len(data.test)
    x, index = data.test.x[index % count], index % count
    is_picture = x.ndim == 3
    return Case(
        task_id,
        index,
        count,
        x[0].numpy() if is_picture else None,
        None if is_picture else x.numpy(),
        data.classes,
        int(data.test.y[index]),
    )


def answers(shown: Case, own_weights: Path | None = None) -> tuple[Answer, ...]:
    """Answers of every shipped network for the case, then of the visitor's own. Raises CheckpointRefused for weights that do not fit."""
    data = load_data(get(shown.task).dataset)
    x = data.test.x[shown.index : shown.index + 1]
    nets = dict(_shipped(shown.task))
    if own_weights is not None:
        nets[OWN] = _own(shown.task, own_weights)
    found = []
    for net, model in nets.items():
        with torch.inference_mode():
            p = model(x).softmax(1)[0].numpy()  # (K,)
        label, colour = (ARMS[net].label, ARMS[net].colour) if net in ARMS else ("Your own training", 6)
        found.append(Answer(net, label, colour, p, int(p.argmax()) == shown.truth))
    return tuple(found)


@lru_cache(maxsize=8)
def disagreements(task_id: str) -> tuple[int, ...]:
    """Numbers of the test cases on which the shipped networks do not all give the same answer; empty where fewer than two are shipped."""
    nets = _shipped(task_id)
    if len(nets) < 2:
        return ()
    x = load_data(get(task_id).dataset).test.x
    with torch.inference_mode():
        given = torch.stack([torch.cat([model(part).argmax(1) for part in x.split(512)]) for _, model in nets])  # nets N
    return tuple(torch.nonzero((given != given[0]).any(0)).flatten().tolist())


def next_disagreement(task_id: str, index: int) -> int | None:
    """The next case after `index` on which the shipped networks disagree, counted round; None where they never do."""
    found = disagreements(task_id)
    return next((number for number in found if number > index), found[0] if found else None)


@lru_cache(maxsize=8)
def _shipped(task_id: str) -> tuple[tuple[str, torch.nn.Module], ...]:
    tensors, card = load(get_method("sofim").checkpoint)
    nets = []
    for arm in ARMS:
        prefix = f"{task_id}.{arm}.{card.seed}."
        weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        if weights:
            nets.append((arm, _fitted(task_id, weights)))
    return tuple(nets)


def _own(task_id: str, path: Path) -> torch.nn.Module:
    """A visitor's network. Its card is asked for the task, since two tasks may share the shapes of a network."""
    tensors, card = load(path)
    if card.config.get("task") != task_id:
        raise CheckpointRefused(ANOTHER_TASK)
    return _fitted(task_id, tensors)


def _fitted(task_id: str, weights: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    model = make_model(get(task_id), 0)
    try:
        model.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as fault:
        raise CheckpointRefused(ANOTHER_TASK) from fault
    return model.eval()
