"""Train one network with one optimiser and keep it: a race with a single lane, whose weights and card are written at the end.

The events are those of `race.py`, so whatever draws a race draws a training. A stop keeps the weights as they are at that step.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models.shared import metrics
from models.shared.checkpoints import Card, DatasetUse, save
from models.shared.device import hardware
from models.sofim.race import Race
from models.sofim.race_config import ConfigRefused, check_runs_here, read
from models.sofim.tasks import evaluate

if TYPE_CHECKING:
    from models.sofim.race import Inbox

FILES = {"weights": "weights.safetensors", "card": "weights.json"}


def train(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Runs one training and yields its events; the last names the files left in `inbox.out`.

    config: as for a race (`race_config.py`), with one entry in `arms` and one seed. Raises ConfigRefused or DataNotHere before the first event.
    """
    checked = read(config)
    if len(checked.entries) > 1 or len(checked.seeds) > 1:
        raise ConfigRefused("A training keeps one network, so it takes one optimiser and one seed; run a race to compare several.")
    check_runs_here(checked.task)
    torch.set_num_threads(checked.threads)
    race, started = Race(checked, inbox), time.perf_counter()
    for event in race.run():
        if event["kind"] == "result":
            event = event | {"files": event["files"] | _keep(race, Path(inbox.out), time.perf_counter() - started)}
        yield event


def _keep(race: Race, out: Path, seconds: float) -> dict[str, str]:
    """Weights and card of the first lane; nothing where it diverged, since such weights are of no use."""
    lane, config, data = race.lanes[0], race.config, race.data
    if lane.diverged:
        return {}
    test_loss, accuracy = evaluate(lane.model, race.rows.whole_test)
    n = len(race.rows.whole_test)
    card = Card(
        method="sofim",
        title=f"{config.task.title}, trained with {lane.arm.label}",
        config=config.as_dict(),
        datasets=(
            DatasetUse(
                name=data.name,
                title=data.title,
                kind=data.kind,
                licence=data.licence,
                n_train=len(data.train),
                n_validation=len(data.validation),
                n_test=n,
                note=data.note,
            ),
        ),
        recipe="models.sofim.training.train with this card's config",
        seed=lane.seed,
        seconds=seconds,
        hardware=hardware(),
        parameters=lane.weights,
        trained_parameters=lane.weights,
        metrics={f"{config.task.id}/test_accuracy": metrics.share(round(accuracy * n), n, kind=data.kind)},
        notes=f"One run of {lane.step} steps, measured once on the whole test split; test loss {test_loss:.4f} nats.",
    )
    weights = {name: value.detach().cpu() for name, value in lane.model.state_dict().items()}
    save(out / FILES["weights"], weights, card)
    return dict(FILES)
