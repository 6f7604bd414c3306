"""Running the study: every arm and seed; what a finished run leaves behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.neural_tuning.config import Config
from models.neural_tuning.features import Seen, look
from models.neural_tuning.heads import Painter
from models.neural_tuning.measures import described, everything, given, reasoned
from models.neural_tuning.network import NeuralTuning
from models.neural_tuning.neurons import Firing, firing, silencing
from models.neural_tuning.plan import OWN, Plan, RunId, settings
from models.neural_tuning.study_data import Cases, test_cases, towers, train_cases
from models.neural_tuning.training import build, fit, fit_painter
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.tasks import TASKS
from models.shared.device import hardware
from models.shared.packing import lay_in, pack, unpack
from models.shared.study_runs import StudyRuns, short

LOOKED_AT = 40
"""Test pictures of each task on which neurons are counted, and on which they are silenced."""
NET, PAINTER, GALLERY = "net.", "painter.", "gallery"


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test pictures."""

    said: Mapping[str, Mapping[str, np.ndarray]]
    """"test", "unseen", "swapped" → "<task>/<what>" → a table, one row a picture (see `measures`)."""
    neurons: Mapping[str, Any]
    """Of arms with neurons: frequency, strength, overlaps, counts, memory; of the first seed's full network "silenced" too."""
    painted: tuple[float, float]
    """Of the first seed's full run: mean absolute error of the painter's grey levels on test pictures, and of the mean training picture's; else (nan, nan)."""
    seconds: float
    hardware: str


@lru_cache(maxsize=1)
def _checksums() -> list[str]:
    clip, decoder = towers()
    return [clip.sha256, decoder.sha256]


def runs_of(plan: Plan) -> StudyRuns:
    """The working folder of the study's settings and frozen networks."""
    return StudyRuns("neural-tuning-study", {**settings(plan), "towers": _checksums()})


def name(plan: Plan, run: RunId) -> str:
    """A run's name, with letters for all that its network is."""
    return f"{run.arm}-{short(plan.config(run.arm).as_json())}.seed{run.seed}"


def blank(clip: Clip) -> Seen:
    """What the tower gives for one empty picture; for its shapes."""
    return look(clip, torch.zeros(1, 3, clip.image_size, clip.image_size, device=clip.device))


def pending(plan: Plan) -> list[RunId]:
    """Runs that are not finished."""
    return [run for run in plan.runs if not runs_of(plan).has(name(plan, run))]


def run_one(plan: Plan, run: RunId, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    torch.set_flush_denormal(True)
    train, decoder = train_cases(plan, run.seed), towers(device)[1]
    started = time.perf_counter()
    net = build(plan, plan.config(run.arm), decoder, train.seen, run.seed)
    yield from fit(net, train, plan, seed=run.seed)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    lay_in(net, packed)  # measured as it ships
    test, unseen = test_cases(plan)
    first = run.seed == plan.seeds[0]
    own = first and run.arm == OWN
    values: dict[str, Any] = {
        "said": measured(net, test, unseen),
        "neurons": _neurons(net, test, plan.silenced if own else 0) if net.layers else {},
        "painted": [float("nan")] * 2,
        "seconds": seconds,
        "hardware": hardware(device),
    }
    keep = {NET + key: value for key, value in packed.items()} if first else None
    if own:
        extra = pack({f"{PAINTER}{key}": value for key, value in fit_painter(train, plan, seed=run.seed).state_dict().items()})
        extra |= pack({GALLERY: train.seen.feature.float()})
        keep |= extra
        values["painted"] = painted(painter_of(extra, train.seen.feature.shape[-1]), train, test)
    values["painted"] = [None if np.isnan(one) else one for one in values["painted"]]
    runs_of(plan).keep(name(plan, run), values, keep)


def measured(net: NeuralTuning, test: Cases, unseen: Cases) -> dict[str, dict[str, list]]:
    """What a run's `said` holds, as plain lists."""
    found = {key: _flat(everything(net, data)) for key, data in (("test", test), ("unseen", unseen))}
    for key, data in (("test", test), ("unseen", unseen)):
        found[key]["describe/written"] = described(net, data, range(len(data)))
    found["test"]["reason/written"] = reasoned(net, test, range(len(test)))
    found["swapped"] = _flat({task: given(net, test, task, range(len(test)), swapped=True) for task in ("describe", "outline")})
    return {key: {what: np.round(table, 5).tolist() for what, table in tables.items()} for key, tables in found.items()}


def _flat(found: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{task}/{what}": table for task, tables in found.items() for what, table in tables.items()}


def _neurons(net: NeuralTuning, test: Cases, silenced: int) -> dict[str, Any]:
    found = firing(net, test, range(min(LOOKED_AT, len(test))))
    kept = summary(found)
    if silenced:
        kept["silenced"] = {"n": silenced, "pictures": len(test), "numbers": silencing(net, test, found, silenced)}
    return kept


def summary(found: Firing) -> dict[str, Any]:
    """Plain numbers of `Firing`; axes as there."""
    return {
        "tasks": list(TASKS),
        "layers": list(found.layers),
        "rho": found.rho,
        "frequency": np.round(found.frequency(), 4).tolist(),
        "strength": np.round(found.strength(), 4).tolist(),
        "cosine": np.round(found.overlap(), 4).tolist(),
        "jaccard": np.round(found.overlap("jaccard"), 4).tolist(),
        "counts": {key: which.sum(1).tolist() for key, which in found.partition().items()},
        "memory": np.round(found.remembered(), 4).tolist(),
    }


@torch.no_grad()
def painted(painter: Painter, train: Cases, test: Cases) -> list[float]:
    """Mean absolute error of grey levels on test pictures: of the painter given the true feature, and of the mean training picture."""
    made = painter(test.seen.feature.float())
    mean = train.thumbs.mean(0, keepdim=True).expand_as(test.thumbs)
    return [float(F.l1_loss(made, test.thumbs)), float(F.l1_loss(mean, test.thumbs))]


def found(plan: Plan, run: RunId) -> Found:
    """What a finished run found."""
    kept: dict[str, Any] = runs_of(plan).values(name(plan, run))
    said = {key: {what: np.array(table) for what, table in tables.items()} for key, tables in kept["said"].items()}
    painted_ = tuple(float("nan") if one is None else one for one in kept["painted"])
    return Found(said, kept["neurons"], painted_, kept["seconds"], kept["hardware"])


def tensors(plan: Plan, arm: str) -> dict[str, Tensor]:
    """The packed weights of an arm's first seed; with the full arm's the painter's and the gallery."""
    return runs_of(plan).tensors(name(plan, RunId(arm, plan.seeds[0])))


def network_of(plan: Plan, config: Config, decoder: Decoder, seen: Seen, kept: Mapping[str, Tensor]) -> NeuralTuning:
    """A trained network from its settings and an arm's tensors; answering. ValueError when they do not fit."""
    net = build(plan, config, decoder, seen, 0)
    lay_in(net, {key.removeprefix(NET): value for key, value in kept.items() if key.startswith(NET)})
    return net.eval()


def painter_of(kept: Mapping[str, Tensor], feature: int) -> Painter:
    """The painter from the full arm's tensors. ValueError when they do not fit."""
    painter = Painter(feature)
    lay_in(painter, {key.removeprefix(PAINTER): value for key, value in kept.items() if key.startswith(PAINTER)})
    return painter.eval()


def gallery_of(kept: Mapping[str, Tensor]) -> Tensor:
    """Features (N, d_I) of the first seed's training pictures, from the full arm's tensors."""
    return unpack({key: value for key, value in kept.items() if key.startswith(GALLERY)})[GALLERY]
