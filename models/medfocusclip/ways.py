"""Several trainings one after the other, as one job: the same phantoms, the same steps, each way of telling CLIP where to look in turn.

The result is one head that answers each way with the weights trained in it, like the shipped ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.medfocusclip.study_plan import ARMS, PlanRefused
from models.medfocusclip.training import FILES, Inbox, read_wish, train
from models.shared.checkpoints import Card, load, save

if TYPE_CHECKING:
    from torch import Tensor

TELL_EVERY_S = 0.2
HEAD = "own"
NOTE = (
    "Phantoms, not patients. In training, a sign in the background goes along with the class; in the test it does not. “With the sign” shows what a "
    "network seems to know while the sign is there; “without it” is what it has learnt of the lesion."
)


@dataclass(frozen=True)
class _Part:
    """The inbox of one training: the job's own stop, a folder to itself."""

    whole: Inbox
    out: Path

    @property
    def stopping(self) -> bool:
        return self.whole.stopping


def read_ways(config: Mapping[str, object]) -> tuple[tuple[str, ...], dict[str, object]]:
    """The ways in the order given and the settings they share. PlanRefused with a sentence."""
    settings = {name: value for name, value in config.items() if name not in ("arms", "device")}
    named = config.get("arms")
    arms = tuple(dict.fromkeys(named)) if isinstance(named, list | tuple) else ()
    if not arms or not all(arm in ARMS for arm in arms):
        raise PlanRefused(f"Choose at least one way to train, out of {', '.join(ARMS)}.")
    read_wish(settings | {"arm": arms[0]})
    return arms, settings


def train_ways(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Runs the trainings and yields events. config: `arms`, and what `training.Wish` takes beside the arm; a `device` is passed over.

    Events: `meta` {arms, notes}, `progress` {step, steps, text}, `points` {arm, fold 0, step, loss}, `metric` {arm, step, test, with_cue}, `scores`, `result`.
    A stop keeps what is trained so far. Raises PlanRefused or ClipNotHere.
    """
    arms, settings = read_ways(config)
    yield {"kind": "meta", "arms": [{"id": arm, "label": ARMS[arm].label} for arm in arms], "notes": [NOTE]}
    cards: dict[str, Card] = {}
    tensors: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        for place, arm in enumerate(arms):
            part = _Part(inbox, Path(folder) / arm)
            part.out.mkdir()
            yield from _told(train(settings | {"arm": arm}, part), arm, place, len(arms))
            own, cards[arm] = load(part.out / FILES["weights"])
            tensors |= {name: tensor for name, tensor in own.items() if name not in tensors or name.startswith(f"head.{HEAD}.{arm}.")}
            yield {"kind": "scores", "arms": _scores(cards)}
            if inbox.stopping:
                break
    save(Path(inbox.out) / FILES["weights"], tensors, _joined(cards, settings))
    yield {"kind": "result", "files": dict(FILES), "scores": _scores(cards), "stopped": bool(inbox.stopping)}


def _told(events: Iterator[dict], arm: str, place: int, count: int) -> Iterator[dict]:
    """One training's events under its name, losses thinned by the clock."""
    steps: list[int] = []
    losses: list[float] = []
    told = 0.0
    for event in events:
        if event["kind"] == "metric":
            yield event | {"arm": arm}
        if event["kind"] != "progress":
            continue
        if "loss" in event:
            steps.append(event["step"])
            losses.append(event["loss"])
        if event["step"] in (0, event["steps"]) or time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            share = (place + event["step"] / max(1, event["steps"])) / count
            yield {"kind": "progress", "step": share, "steps": 1, "text": f"{ARMS[arm].label}: {event['text']}", "loss": None}
            if steps:
                yield {"kind": "points", "arm": arm, "fold": 0, "step": steps, "loss": losses}
            steps, losses = [], []
    if steps:
        yield {"kind": "points", "arm": arm, "fold": 0, "step": steps, "loss": losses}


def _scores(cards: Mapping[str, Card]) -> dict[str, dict[str, float]]:
    found = {arm: next(iter(card.metrics.values())) for arm, card in cards.items()}
    return {arm: {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n} for arm, metric in found.items()}


def _joined(cards: Mapping[str, Card], settings: Mapping[str, object]) -> Card:
    """One card for all: their metrics side by side."""
    arms: Sequence[str] = list(cards)
    first = cards[arms[0]]
    heads = {HEAD: first.extra["heads"][HEAD] | {"arms": arms}}
    changed = {
        "title": f"Liver-CT-like phantoms, {len(arms)} ways",
        "config": first.config | dict(settings) | {"arms": arms},
        "recipe": "models.medfocusclip.ways.train_ways with this card's config",
        "seconds": sum(card.seconds for card in cards.values()),
        "trained_parameters": sum(card.trained_parameters for card in cards.values()),
        "metrics": {name: metric for card in cards.values() for name, metric in card.metrics.items()},
        "extra": {**first.extra, "heads": heads},
    }
    return first.model_copy(update=changed)
