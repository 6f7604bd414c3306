"""A preset's training as a job: any room's recipe, followed live, its weights and card left for the visitor and never put over the shipped ones.

    context.start("models.shared.preset_run:train", {"recipe": "promim", "preset": "quick"}, request, title=…)

Events: `meta` (method, preset), `progress` with step, steps, text and loss as the recipe tells them, thinned by the clock, and `result` with
the files left in `inbox.out` and the held-out numbers beside the recipe's own baselines.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from models.shared.checkpoints import Card, save
from models.shared.device import pick_device
from models.shared.method import get

FILES = {"weights": "weights.safetensors", "card": "weights.json"}
TELL_EVERY_S = 0.15


class Inbox(Protocol):
    """How the job is told to stop, and where its files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


def train(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Runs a preset and yields events. config: recipe (the id of the method), preset ("" for the first), seed, device.

    Raises ValueError or UnknownMethod, in a sentence, for a method or preset that does not exist.
    """
    method = get(str(config.get("recipe", "")))
    preset = method.preset(str(config.get("preset", "")))
    yield {"kind": "meta", "method": method.id, "title": method.title, "preset": preset.name, "about": preset.about}
    device = str(pick_device(str(config.get("device", "auto"))))
    told = 0.0
    for event in method.recipe().train(preset.config, seed=int(config.get("seed") or 0), device=device):
        if event["kind"] == "result":
            yield _result(event["card"], event["tensors"], Path(inbox.out))
            return
        if inbox.stopping:  # a study that was cut short has no numbers, so nothing of it is kept
            yield {"kind": "result", "files": {}, "metrics": {}, "stopped": True}
            return
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            yield {key: event.get(key) for key in ("kind", "step", "steps", "text", "loss")}


def _result(card: Card, tensors: Mapping[str, object], out: Path) -> dict:
    card = save(out / FILES["weights"], tensors, card)
    found = {name: {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "kind": m.kind} for name, m in card.metrics.items()}
    return {"kind": "result", "files": dict(FILES), "metrics": found, "loses": list(card.loses), "stopped": False}
