"""Training and held-out evaluation of the M2OST room: networks of the whole method, without its parts and of one view, on made-up sections.

`train` trains every arm of a preset with every seed and ends with the card and all weights, in half precision and named "<split>.<arm>.<seed>.<parameter>".
Every number is measured with the rounded weights, so `evaluate` computes all of them again. A stopped training goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.m2ost import data, real, report
from models.m2ost.arms import ARMS, network
from models.m2ost.fit import Schedule, predict, training
from models.m2ost.measures import Measured, measure
from models.shared.checkpoints import Card, DatasetUse, Metric, parse, write_atomically
from models.shared.data.histology import GENES
from models.shared.data.spatial import her2st
from models.shared.device import hardware, pick_device

if TYPE_CHECKING:
    from torch import Tensor

    from models.m2ost.network import M2OST

GROUPS = tuple(gene.group for gene in GENES)
MEAN = "mean"
"""The arm that says the training spots' average profile for every spot."""


def runs_of(config: Mapping[str, object]) -> list[tuple[str, str, int]]:
    """(split, arm, seed) of every training, in the order in which they are done. ValueError for an arm that does not exist."""
    arms, leaks, seeds = (list(config[name]) for name in ("arms", "leak_arms", "seeds"))
    if unknown := [arm for arm in (*arms, *leaks) if arm not in ARMS]:
        raise ValueError(f"There is no network called {unknown[0]!r}; choose among {', '.join(ARMS)}.")
    return [("patient", arm, int(seed)) for seed in seeds for arm in arms] + [("slide", arm, int(seed)) for seed in seeds for arm in leaks]


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset; yields `progress` events and at last `result` with the card and its tensors. `seed` is added to every seed of the preset."""
    torch.set_num_threads(1)
    began, asked = time.perf_counter(), {name: value for name, value in config.items() if name != "work"}
    runs, place = runs_of(asked), _work(config, seed)
    splits = tuple(dict.fromkeys(split for split, _, _ in runs))
    for done, total in data.prepare(asked, splits):
        yield {"kind": "progress", "step": done, "steps": total + 10 * len(runs), "text": "drawing sections"}
    steps, tensors, kept = total + 10 * len(runs), {}, 0.0
    where = str(pick_device(device))
    for number, (split, arm, run_seed) in enumerate(runs):
        file = place / f"{split}.{arm}.{run_seed}.safetensors"
        if file.exists():
            found = parse(file.read_bytes(), file.name)
            kept += float(found.pop("seconds"))
        else:
            started = time.perf_counter()
            found = yield from _trained(asked, split, arm, run_seed + seed, where, base=total + 10 * number, steps=steps)
            _keep(file, found, time.perf_counter() - started)
        tensors |= {f"{split}.{arm}.{run_seed}.{name}": tensor for name, tensor in found.items()}
    for split in splits:
        tensors[f"{split}.{MEAN}"] = torch.from_numpy(data.load(data.plan_of(asked, split).train).y.mean(0))
    yield {"kind": "progress", "step": steps, "steps": steps, "text": "measuring"}
    measured = measured_of(asked, tensors)
    found = None
    if asked.get("real") and her2st.here():
        yield {"kind": "progress", "step": steps, "steps": steps, "text": "training on real sections"}
        found = _real(place / "real.json", tensors, [int(one) + seed for one in asked["seeds"]], int(asked["seeds"][0]))
    card = _card(asked, seed, device, measured, time.perf_counter() - began + kept)
    if found is not None:
        card = card.model_copy(
            update={"extra": dict(card.extra) | {"real": found}}
        )  # no data set of the weights: theirs are not in the file
    yield {"kind": "result", "card": Card.model_validate(card.model_dump()), "tensors": tensors}


def _trained(
    config: Mapping[str, object], split: str, arm: str, seed: int, device: str, *, base: int, steps: int
) -> Generator[dict, None, dict[str, Tensor]]:
    """One training; returns its weights, rounded."""
    spots = data.load(data.plan_of(config, split).train)
    torch.manual_seed(seed)
    net = network(arm)
    run = training(
        net, spots, seed=seed, schedule=Schedule(int(config["epochs"]), int(config["batch"]), float(config["lr"])), device=device
    )
    text = f"{ARMS[arm].title}, seed {seed}, split by {split}"
    for event in run:
        if event.step % 20 == 0 or event.step == run.steps:
            yield {"kind": "progress", "step": base + int(10 * event.step / run.steps), "steps": steps, "text": text, "loss": event.loss}
    return {name: tensor.detach().cpu().half() for name, tensor in net.state_dict().items()}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's metrics computed again from the stored weights of every run; draws the test sections where they are not in the cache."""
    return report.metrics(measured_of(card.config, tensors))


def measured_of(config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> dict[tuple[str, str], list[Measured]]:
    """(split, arm) → one measurement a seed, on the test sections, which are the same for both splits."""
    spots = data.load(data.plan_of(config, "patient").test)
    made: dict[tuple[str, str], list[Measured]] = {}
    for split in dict.fromkeys(split for split, _, _ in runs_of(config)):
        mean = np.repeat(tensors[f"{split}.{MEAN}"].numpy()[None], len(spots), 0)
        made[split, MEAN] = [measure(mean, spots.y, spots.section, GROUPS)]
    for split, arm, seed in runs_of(config):
        net = restored(tensors, split, arm, seed)
        made.setdefault((split, arm), []).append(measure(predict(net, spots.views), spots.y, spots.section, GROUPS))
    return made


def restored(tensors: Mapping[str, Tensor], split: str, arm: str, seed: int) -> M2OST:
    """The network of one run in single precision, ready to answer. KeyError when it is not among the tensors."""
    prefix = f"{split}.{arm}.{seed}."
    found = {name.removeprefix(prefix): tensor.float() for name, tensor in tensors.items() if name.startswith(prefix)}
    if not found:
        raise KeyError(f"There are no weights of {ARMS[arm].title} with seed {seed} and the split by {split}.")
    net = network(arm, genes=len(found["head.bias"]))
    net.load_state_dict(found)
    return net.eval()


def _real(file: Path, tensors: Mapping[str, Tensor], seeds: list[int], first: int) -> dict[str, Any]:
    """The real sections' numbers; kept like the trainings, so that a stopped study goes on. Their weights are not."""
    if not file.exists():
        found = real.study(restored(tensors, "patient", "full", first), seeds)
        write_atomically(file, json.dumps(found).encode())
    return json.loads(file.read_text(encoding="utf-8"))


def tolerance(name: str) -> float:
    """How far a number computed again may be off: sums in another order, over some three thousand spots."""
    return 2e-3


def _work(config: Mapping[str, object], seed: int) -> Path:
    if "work" in config:
        base = Path(str(config["work"]))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightbox" / "m2ost-study"
    asked = {name: value for name, value in config.items() if name not in ("work", "arms", "leak_arms", "seeds", "real")}
    key = hashlib.sha256(json.dumps([asked, seed, data.VERSION], sort_keys=True).encode()).hexdigest()[:16]
    return base / key


def _keep(file: Path, weights: Mapping[str, Tensor], seconds: float) -> None:
    from safetensors.torch import save

    write_atomically(file, save(dict(weights) | {"seconds": torch.tensor(seconds)}))


def _card(config: Mapping[str, object], seed: int, device: str, measured: Mapping[tuple[str, str], list[Measured]], seconds: float) -> Card:
    from models.shared.method import get

    method, plan = get("m2ost"), data.plan_of(config, "patient")
    total, trained = method.parameters()
    preset = next((one.name for one in method.presets if dict(one.config) == dict(config)), "")
    sizes = [len(data.load(part)) if part else 0 for part in (plan.train, plan.validation, plan.test)]
    return Card(
        method=method.id,
        title=method.title,
        config=dict(config),
        datasets=(
            DatasetUse(
                name="histology",
                title="Made-up H&E sections with planted expression",
                kind="phantom",
                licence="drawn by this program",
                n_train=sizes[0],
                n_validation=sizes[1],
                n_test=sizes[2],
                note=f"Spots of {len(plan.train)}, {len(plan.validation)} and {len(plan.test)} sections; no patient stands in two parts.",
            ),
        ),
        recipe=f"python -m models train m2ost{f' --preset {preset}' if preset else ''}{f' --seed {seed}' if seed else ''}{'' if device == 'cpu' else f' --device {device}'}",
        seed=seed,
        seconds=seconds,
        hardware=hardware(device),
        parameters=total,
        trained_parameters=trained,
        metrics=report.metrics(measured),
        loses=report.loses(measured),
        deviations=tuple(vars(deviation).copy() for deviation in method.deviations),
        notes=report.NOTES,
        extra={"genes": report.genes(measured, data.load(plan.train).y), "differences": report.differences(measured)},
    )
