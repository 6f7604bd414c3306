"""Training and held-out evaluation of the small segmenter: from phantoms and outlined ultrasound pictures to weights and card.

`train` draws the pool, runs `fitting` and measures the averaged weights as they are written, rounded to half precision. A copy of them
is kept every 100 steps in `config["work"]`, where that is given. `evaluate` measures a checkpoint again (`evaluation`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.backbones.segmenter import evaluation
from models.shared.backbones.segmenter.beginning import begin, published_parts
from models.shared.backbones.segmenter.fitting import Fitting, Settings
from models.shared.backbones.segmenter.network import build, fill, image_state
from models.shared.backbones.segmenter.pool import FAMILIES, HELD_OUT_FAMILY, Pool, busi_pool, phantom_pool
from models.shared.backbones.segmenter.presets import PRESETS
from models.shared.backbones.segmenter.record import METHOD
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import is_here, may_ship
from models.shared.data import load as load_set
from models.shared.data.phantoms import title as phantom_title
from models.shared.device import hardware, pick_device

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base
    from torch import Tensor

SNAPSHOT_EVERY = 100
SAID_EVERY = 10


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Train as a preset's configuration says; yields `progress` events and at last `result` with the card and its tensors.

    Raises ValueError for settings that cannot be run, CheckpointRefused without the published weights that training begins from.
    """
    settings = Settings.of(config)
    started, place = time.perf_counter(), pick_device(device)
    published = published_parts()  # first, so that their absence is told at once
    pools: list[Pool] = []
    yield from _gather(pools, int(config["pool"]))
    fitting = Fitting(begin(build("small", seed=seed), published), pools, settings, seed=seed, device=place)
    mean = good = 0.0
    for step, loss, overlap in fitting.run():
        mean, good = (loss, overlap) if step == 1 else (0.95 * mean + 0.05 * loss, 0.95 * good + 0.05 * overlap)
        if step % SNAPSHOT_EVERY == 0 and "work" in config:
            _keep(Path(str(config["work"])) / f"sam2_small-{step:05d}.safetensors", weights(fitting.averaged.module))
        if step % SAID_EVERY == 0 or step == settings.steps:
            yield {"kind": "progress", "step": step, "steps": settings.steps, "text": f"training, overlap {good:.2f}", "loss": mean}
    tensors = weights(fitting.averaged.module)
    seconds = time.perf_counter() - started
    yield {"kind": "progress", "step": settings.steps, "steps": settings.steps, "text": "measuring on held-out pictures", "loss": mean}
    yield {"kind": "result", "card": make_card(tensors, config, seed=seed, device=device, seconds=seconds, loss=mean), "tensors": tensors}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's metrics computed again from its weights; those of data that is not here are left out."""
    return evaluation.measure(network_of(tensors), cases=int(card.config["cases"]))


def tolerance(name: str) -> float:
    """How far a number computed again may be off: masks of other processors differ in pixels on the edge, and clicks follow masks."""
    return 0.01


def weights(model: SAM2Base) -> dict[str, Tensor]:
    """What a still image needs, in half precision."""
    return {name: tensor.detach().cpu().half() for name, tensor in image_state(model.state_dict()).items()}


def network_of(tensors: Mapping[str, Tensor]) -> SAM2Base:
    """The small network with these weights, in evaluation mode; CheckpointRefused where they do not fit."""
    model = build("small", seed=0)
    fill(model, {name: tensor.float() for name, tensor in tensors.items()}, name="the checkpoint")
    return model


def make_card(tensors: Mapping[str, Tensor], config: Mapping[str, object], *, seed: int, device: str, seconds: float, loss: float) -> Card:
    """The card of finished weights, measured on held-out pictures."""
    asked = {name: value for name, value in config.items() if name != "work"}
    metrics = evaluation.measure(network_of(tensors), cases=int(config["cases"]))
    count = sum(tensor.numel() for tensor in tensors.values())
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=asked,
        datasets=tuple(_datasets(config)),
        recipe=_command(asked, seed, device),
        seed=seed,
        seconds=seconds,
        hardware=hardware(device),
        parameters=count,
        trained_parameters=count,
        metrics=metrics,
        loses=evaluation.loses(metrics),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=evaluation.NOTES,
        extra={"loss_at_end": loss},
    )


def _gather(pools: list[Pool], n: int) -> Iterator[dict]:
    """Fill `pools`, telling how far it is."""
    for k, family in enumerate(FAMILIES):
        for found in phantom_pool(family, n):
            if isinstance(found, Pool):
                pools.append(found)
            else:
                yield {"kind": "progress", "step": k * n + found, "steps": n * len(FAMILIES), "text": "drawing phantoms", "loss": None}
    may_ship(["busi"])
    if (real := busi_pool()) is not None:
        pools.append(real)


def _keep(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    from models.shared.checkpoints import write_atomically

    write_atomically(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def _datasets(config: Mapping[str, object]) -> Iterator[DatasetUse]:
    cases = int(config["cases"])
    for family in (*FAMILIES, HELD_OUT_FAMILY):
        held_out = family == HELD_OUT_FAMILY
        yield DatasetUse(
            name=f"phantoms/{family}",
            title=phantom_title(family),
            kind="phantom",
            licence="drawn by this program",
            n_train=0 if held_out else int(config["pool"]),
            n_validation=0,
            n_test=cases,
            note="A family that was never trained on."
            if held_out
            else "Half of the training pictures drawn at 256 px, half at 128 px and enlarged.",
        )
    if is_here("busi"):
        data = load_set("busi", size=256)
        n_train, n_test = (int(part.masks.flatten(1).any(1).sum()) for part in (data.train, data.test))
        note = f"Pictures with an outlined lesion alone. {data.note}"
        yield DatasetUse(
            name="busi", title=data.title, kind="real", licence=data.licence, n_train=n_train, n_validation=0, n_test=n_test, note=note
        )


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    name = next((preset.name for preset in PRESETS if dict(preset.config) == dict(config)), None)
    if name is None:
        return f"models.shared.backbones.segmenter.recipe.train(<the config of this card>, seed={seed}, device={device!r})"
    return f"python -m models train {METHOD.id} --preset {name} --seed {seed} --device {device}"
