"""Training the room's study and computing the card's numbers again (contract: `models.cli`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.epic.plan import ARMS
from models.epic.record import METHOD
from models.shared.checkpoints import Card, Metric
from models.shared.prompt_interaction import room


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs what is missing; yields `progress` events and at last `result`. Raises PlanRefused for what cannot be run."""
    yield from room.train(METHOD, ARMS, config, seed=seed, device=device)


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The `shipped_…` numbers of every shipped network, computed again on the test pairs."""
    return room.evaluate(ARMS, card, tensors)


def tolerance(name: str) -> float:
    """How far a number computed again may be off: a note or two of 1,200, as the order of sums differs between processors."""
    return 3e-3


def parameters() -> tuple[int, int]:
    """(numbers of towers and method together, numbers that learn)."""
    return room.parameters()
