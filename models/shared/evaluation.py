"""Holding a card against its checkpoint: compute its numbers again and say which differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.shared.checkpoints import CheckpointRefused, Metric, load
from models.shared.data import DataNotHere
from models.shared.method import Method

DEFAULT_TOLERANCE = 1e-3
"""Absolute, for recipes without a `tolerance(name)` of their own."""

Status = Literal["ok", "off", "data not here", "refused"]


@dataclass(frozen=True)
class Evaluation:
    """What came of evaluating one method."""

    method: Method
    status: Status
    message: str = ""
    recorded: Mapping[str, Metric] = field(default_factory=dict)
    recomputed: Mapping[str, Metric] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    """Names whose two values differ by more than their tolerance, or that the card does not have."""

    @property
    def failed(self) -> bool:
        """Whether something is wrong. Absent data is not: nothing could be said."""
        return self.status in ("off", "refused")

    def rows(self) -> Iterator[tuple[str, float | None, float | None, str]]:
        """(name, recorded value, recomputed value, verdict) for every name on either side."""
        for name in (*self.recorded, *(name for name in self.recomputed if name not in self.recorded)):
            recorded, recomputed = self.recorded.get(name), self.recomputed.get(name)
            verdict = "OFF" if name in self.off else "" if recomputed is None else "ok"
            yield name, recorded and recorded.value, recomputed and recomputed.value, verdict

    def as_json(self) -> dict:
        """Plain values: status, message, recorded, recomputed, off."""
        return {
            "status": self.status,
            "message": self.message,
            "recorded": {name: metric.model_dump() for name, metric in self.recorded.items()},
            "recomputed": {name: metric.model_dump() for name, metric in self.recomputed.items()},
            "off": list(self.off),
        }


def evaluate(method: Method) -> Evaluation:
    """Load the method's checkpoint and let its recipe compute the card's numbers again."""
    try:
        tensors, card = load(method.checkpoint)
    except CheckpointRefused as fault:
        return Evaluation(method, "refused", str(fault))
    recipe = method.recipe()
    try:
        recomputed = recipe.evaluate(card, tensors)
    except DataNotHere as fault:
        return Evaluation(method, "data not here", str(fault), card.metrics)
    tolerance = getattr(recipe, "tolerance", lambda name: DEFAULT_TOLERANCE)
    off = tuple(name for name, metric in recomputed.items() if not _agree(card.metrics.get(name), metric, tolerance(name)))
    left_out = len(card.metrics) - len(card.metrics.keys() & recomputed.keys())
    message = f"{left_out} of {len(card.metrics)} numbers were not computed again." if left_out else ""
    status: Status = "off" if off else "ok" if recomputed else "data not here"
    return Evaluation(method, status, message, card.metrics, recomputed, off)


def _agree(recorded: Metric | None, recomputed: Metric, tolerance: float) -> bool:
    return recorded is not None and abs(recorded.value - recomputed.value) <= tolerance
