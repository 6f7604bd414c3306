"""What the screen calls: a trained network by task, setting, arm and model; a picture read once, then options as often as wanted.

    predictor = load_predictor("liver", "asymmetric-50", "cleansed")
    prepared = predictor.prepare(picture)                # the network runs here, once for each content
    result = predictor.run(prepared, Options(at_least_px=4))
    book = load_cases("liver", "asymmetric-50", "cleansed")    # see `casebook`
    case = book.case(12)

Everything handed back is a frozen record of arrays (`results`). Safe to use from several threads: a predictor keeps caches by content alone.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from models.self_cleansing.network import UNet, probabilities
from models.self_cleansing.record import METHOD
from models.self_cleansing.results import OptionRefused, Options, Prepared, Result
from models.self_cleansing.weights import network_of, split_states
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array

_KEPT = 24
PLAIN = Options()


def shipped(path: Path | None = None) -> dict[str, dict]:
    """Task → what its card says of it (title, kind, structures, settings, arms …). CheckpointRefused when there is no card."""
    return dict(read_card(path or METHOD.checkpoint).extra["tasks"])


def load_predictor(
    task: str = "", setting: str = "", arm: str = "", model: str = "last", *, path: Path | None = None, device: str = "cpu"
) -> Predictor:
    """A trained network, kept for the next caller; "" takes the card's first task, its last setting's "cleansed" or first arm.

    `model`: "last" (L), "best" (B) or "teacher", as far as the checkpoint holds it. `path`: another checkpoint of this room, such as one trained on
    own pictures. Raises CheckpointRefused or OptionRefused with a sentence.
    """
    path = Path(path or METHOD.checkpoint)
    card = read_card(path)  # looked at each time, so that a changed file is noticed
    task = task or next(iter(card.extra["tasks"]))
    facts = card.extra["tasks"].get(task, {"arms": {}})
    setting = setting or next((name for name in facts["arms"] if name == "asymmetric-50"), next(reversed(facts["arms"]), ""))
    arms = facts["arms"].get(setting, {})
    return _load(path, card.sha256, task, setting, arm or ("cleansed" if "cleansed" in arms else next(iter(arms), "")), model, device)


@lru_cache(maxsize=24)
def _load(path: Path, sha256: str, task: str, setting: str, arm: str, model: str, device: str) -> Predictor:
    facts, packed = state_of(path, sha256, task, setting, arm)
    if model not in packed:
        raise OptionRefused(f"Of this training the checkpoint holds {', '.join(sorted(set(packed) - {'extra'}))}, not {model!r}.")
    try:
        net = network_of(facts, packed[model])
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    return Predictor(net.to(device), facts, f"{sha256}|{task}|{setting}|{arm}|{model}")


def state_of(path: Path, sha256: str, task: str, setting: str, arm: str) -> tuple[Mapping, dict[str, dict[str, Tensor]]]:
    """The task's facts, and the packed weights of a cell by model. OptionRefused for a cell that is not there."""
    tensors, card = _tensors(path, sha256)
    facts, packed = card.extra["tasks"].get(task), split_states(tensors).get((task, setting, arm))
    if facts is None or packed is None:
        known = "; ".join(f"{name}: {', '.join(one['arms'])}" for name, one in card.extra["tasks"].items())
        raise OptionRefused(f"The checkpoint holds no network {arm!r} for {task!r} under {setting!r}. Its settings are {known}.")
    return facts, packed


@lru_cache(maxsize=2)
def _tensors(path: Path, _sha256: str):
    return load(path)


class Predictor:
    """One trained network at work."""

    def __init__(self, net: UNet, facts: Mapping, name: str = "") -> None:
        """`facts`: what the card says of the task; `name` tells it from others."""
        self.net, self.facts, self.name = net.eval(), facts, name
        self.structures: tuple[str, ...] = tuple(facts["structures"])
        self.side, self.channels = int(facts["side"]), int(facts["channels"])
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = Lock()

    def prepare(self, picture: np.ndarray) -> Prepared:
        """Read a picture: (H, W) or (H, W, 3), uint8 or floats in 0…1. OptionRefused for pixels that cannot be used."""
        values = np.asarray(picture)
        try:
            seen = as_array("The picture", values, mode="RGB" if self.channels == 3 else "L", size=self.side)
        except DataDamaged as fault:
            raise OptionRefused(str(fault)) from fault
        key = hashlib.sha256(f"{self.name}|{values.shape}|{values.dtype}|".encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        pixels = torch.from_numpy(seen.copy()).float() / 255
        x = (pixels[None] if seen.ndim == 2 else pixels.permute(2, 0, 1))[None]
        shown = values if values.dtype == np.uint8 else (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
        prepared = Prepared(key, shown, pixels.numpy(), probabilities(self.net, x)[0].cpu().numpy())
        with self._lock:
            self._kept[key] = prepared
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return prepared

    def run(self, prepared: Prepared, options: Options = PLAIN) -> Result:
        """Outline under the options; probabilities are resized to the picture before the likeliest class is taken."""
        size = prepared.picture.shape[:2]
        p = F.interpolate(torch.from_numpy(prepared.probability)[None], size=size, mode="bilinear", align_corners=False)[0].numpy()
        mask = p.argmax(axis=0).astype(np.uint8)
        mask[p.max(axis=0) <= options.threshold] = 0
        for number in range(1, len(p)):
            parts, n = ndimage.label(mask == number)
            areas = np.bincount(parts.ravel(), minlength=n + 1)
            mask[(areas < options.at_least_px)[parts] & (parts > 0)] = 0
        pixels = {name: int((mask == number).sum()) for number, name in enumerate(self.structures, start=1)}
        return Result(mask, p, p.max(axis=0), pixels)
