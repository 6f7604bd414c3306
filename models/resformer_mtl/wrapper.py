"""What the screen calls: a trained network by task and arm; a picture read once, then thresholds, measures and looks inside as often as wanted.

    predictor = load_predictor("busi", "full")
    prepared = predictor.prepare(picture, spacing_mm=(0.1, 0.1))   # the network runs here, once for each content
    result = predictor.run(prepared, Options(threshold=0.4))
    looked = predictor.look(prepared, stage=1, place=(40, 60))

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
from torch import Tensor

from models.resformer_mtl.config import STAGES
from models.resformer_mtl.layers import partition
from models.resformer_mtl.losses import probabilities
from models.resformer_mtl.network import ResFormerMTL, Trace
from models.resformer_mtl.record import METHOD
from models.resformer_mtl.results import Agreement, Layer, Looked, OptionRefused, Options, Prepared, Result
from models.resformer_mtl.weights import network_of, split_states
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array
from models.shared.lesion_measures import measure

NOTHING = ("normal", "none")
"""Classes that say there is no lesion."""
_KEPT = 24


def shipped(path: Path | None = None) -> dict[str, dict]:
    """Task → what its card says of it (title, kind, classes, structures, arms …). CheckpointRefused when there is no card."""
    return dict(read_card(path or METHOD.checkpoint).extra["tasks"])


def load_predictor(task: str = "", arm: str = "full", *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained network of that task and arm, kept for the next caller; "" takes the card's first task.

    `path`: another checkpoint of this room, such as one trained on own pictures. Raises CheckpointRefused or OptionRefused with a sentence.
    """
    path = Path(path or METHOD.checkpoint)
    card = read_card(path)  # looked at each time, so that a changed file is noticed
    return _load(path, card.sha256, task or next(iter(card.extra["tasks"])), arm, device)


@lru_cache(maxsize=16)
def _load(path: Path, sha256: str, task: str, arm: str, device: str) -> Predictor:
    tensors, card = _tensors(path, sha256)
    facts = card.extra["tasks"].get(task)
    if facts is None or arm not in facts["arms"]:
        known = ", ".join(f"{name}: {', '.join(one['arms'])}" for name, one in card.extra["tasks"].items())
        raise OptionRefused(f"The checkpoint holds no network {arm!r} for {task!r}; it holds {known}.")
    try:
        net = network_of(facts["arms"][arm], split_states(tensors)[task][arm])
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    return Predictor(net.to(device), task, arm, facts, sha256)


@lru_cache(maxsize=2)
def _tensors(path: Path, _sha256: str):
    return load(path)


class Predictor:
    """One trained network at work."""

    def __init__(self, net: torch.nn.Module, task: str, arm: str, facts: Mapping, sha256: str = "") -> None:
        """`facts`: what the card says of the task."""
        self.net, self.task, self.arm, self.sha256 = net.eval(), task, arm, sha256
        self.title: str = facts["title"]
        self.kind: str = facts["kind"]
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.structures: tuple[str, ...] = tuple(facts["structures"])
        self.exclusive: bool = facts["exclusive"]
        self.segments: bool = facts["arms"][arm]["segments"]
        self.classifies: bool = facts["arms"][arm]["classifies"]
        self.side: int = net.config.side
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = Lock()

    @property
    def looks_inside(self) -> bool:
        """Whether there is window attention to show."""
        return isinstance(self.net, ResFormerMTL) and self.net.config.transformer

    # ------------------------------------------------------------------ prepare
    def prepare(self, picture: np.ndarray, spacing_mm: tuple[float, float] | None = None) -> Prepared:
        """Read a picture: (H, W) or (H, W, 3), uint8 or floats in 0…1; spacing of its pixels (row, column).

        OptionRefused for pixels or a spacing that cannot be used.
        """
        values = np.asarray(picture)
        if spacing_mm is not None and not (np.isfinite(spacing_mm).all() and min(spacing_mm) > 0):
            raise OptionRefused(f"A pixel spacing is two positive numbers of millimetres, not {spacing_mm}.")
        try:
            seen = as_array("The picture", values, mode="RGB" if self.net.config.in_channels == 3 else "L", size=self.side)
        except DataDamaged as fault:
            raise OptionRefused(str(fault)) from fault
        key = hashlib.sha256(
            f"{self.sha256}|{self.task}|{self.arm}|{values.shape}|{values.dtype}|{spacing_mm}|".encode() + values.tobytes()
        )
        with self._lock:
            if (kept := self._kept.get(key.hexdigest())) is not None:
                self._kept.move_to_end(key.hexdigest())
                return kept
        prepared = self._read(key.hexdigest(), values, seen, spacing_mm)
        with self._lock:
            self._kept[prepared.key] = prepared
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return prepared

    @torch.no_grad()
    def _read(self, key: str, values: np.ndarray, seen: np.ndarray, spacing_mm: tuple[float, float] | None) -> Prepared:
        device, trace = next(self.net.parameters()).device, Trace()
        grey = torch.from_numpy(seen.copy()).float() / 255
        x = (grey[None] if seen.ndim == 2 else grey.permute(2, 0, 1))[None]  # 1 C S S
        out = self.net(x.to(device), trace=trace)
        p = probabilities(out.seg)[0].cpu()
        background, structures = (1 - p[0], p) if len(p) == 1 else (p[0], p[1:])
        shown = values if values.dtype == np.uint8 else (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
        return Prepared(
            key=key,
            picture=shown,
            seen=grey.numpy() if seen.ndim == 2 else grey.mean(-1).numpy(),
            spacing_mm=spacing_mm,
            probability=structures.numpy() if self.segments else None,
            background=background.numpy() if self.segments else None,
            scores=out.cls.sigmoid()[0].cpu().numpy() if self.classifies else None,
            layers=self._layers(trace),
            attention=tuple(tuple(block.cpu().numpy() for block in blocks) for blocks in trace.attention),
        )

    def _layers(self, trace: Trace) -> tuple[Layer, ...]:
        config, made = self.net.config, []
        for place in range(len(trace.conv)):
            branches = trace.branches[place] if place < len(trace.branches) else []
            rates = (1, *config.stage_rates[place]) if branches else ()
            pixels = config.stride << place
            made.append(
                Layer(
                    stage=place + 1,
                    conv=_size(trace.conv[place]),
                    tokens=_size(trace.tokens[place]) if trace.tokens else None,
                    out=_size(trace.stages[place]),
                    branches=tuple(map(_size, branches)),
                    rates=rates,
                    reach_px=tuple(0.0 if number == 0 else float(rate * pixels) for number, rate in enumerate(rates)),
                    spatial=trace.spatial[place][0, 0].cpu().numpy() if branches else None,
                )
            )
        return tuple(made)

    # ------------------------------------------------------------------ run
    def run(self, prepared: Prepared, options: Options = Options()) -> Result:  # noqa: B008 - frozen
        """Mask, classes and measures under the options; no network runs here."""
        mask, probability, lesions = np.zeros(prepared.shape, np.uint8), None, ()
        if prepared.probability is not None:
            probability = _enlarged(prepared.probability, prepared.shape)
            background = _enlarged(prepared.background[None], prepared.shape)[0]
            best = probability.argmax(axis=0)  # H W
            highest = np.take_along_axis(probability, best[None], axis=0)[0]
            # At one half this is the card's rule: the structure wins over the background. Else the odds decide.
            chosen = highest * (1 - options.threshold) > background * options.threshold
            mask[chosen] = best[chosen] + 1
            mask, lesions = self._lesions(mask, prepared.spacing_mm, options.at_least_px)
        present = self._present(prepared.scores, options.class_threshold)
        return Result(mask, probability, prepared.scores, present, lesions, self._agreements(mask, present, prepared))

    def _lesions(self, mask: np.ndarray, spacing_mm: tuple[float, float] | None, at_least_px: int):
        """The mask without regions that are too small, and the measures of the others."""
        from scipy.ndimage import label

        kept, found = np.zeros_like(mask), []
        for number in range(1, len(self.structures) + 1):
            inside = mask == number
            if at_least_px > 1:
                regions, _ = label(inside, structure=np.ones((3, 3)))
                inside &= np.bincount(regions.ravel())[regions] >= at_least_px
            kept[inside] = number
            found += measure(inside, spacing_mm, structure=number)
        return kept, tuple(sorted(found, key=lambda one: -one.pixels))

    def _present(self, scores: np.ndarray | None, threshold: float) -> tuple[bool, ...]:
        if scores is None:
            return ()
        if self.exclusive:
            return tuple(place == int(scores.argmax()) for place in range(len(scores)))
        return tuple(bool(score > threshold) for score in scores)

    def _agreements(self, mask: np.ndarray, present: tuple[bool, ...], prepared: Prepared) -> tuple[Agreement, ...]:
        if prepared.probability is None or not present:
            return ()
        if self.classes == self.structures:
            return tuple(Agreement(name, bool((mask == place + 1).any()), present[place]) for place, name in enumerate(self.classes))
        empty = [place for place, name in enumerate(self.classes) if name in NOTHING]
        return tuple(Agreement("lesion", bool(mask.any()), not present[place]) for place in empty)

    # ------------------------------------------------------------------ look inside
    def look(self, prepared: Prepared, *, stage: int, place: tuple[float, float], shifted: bool = False) -> Looked:
        """What a place of the picture (row, column, in its pixels) attends to in one of a stage's two blocks.

        OptionRefused without window attention, or for a stage or place that does not exist.
        """
        if not prepared.attention:
            raise OptionRefused("This network has no window attention to look into; choose one that has.")
        height, width = prepared.shape
        if not 1 <= stage <= STAGES or not (0 <= place[0] < height and 0 <= place[1] < width):
            raise OptionRefused(f"There is no stage {stage} or no place {place} in this picture of {width}×{height} pixels.")
        side = self.net.config.sides[stage - 1]
        block = self.net.encoder.swin[stage - 1][int(shifted)]
        row, column = int(place[0] * side / height), int(place[1] * side / width)
        order = torch.arange(side * side).view(1, side, side, 1).roll((-block.shift, -block.shift), (1, 2))
        places = partition(order, block.window)[..., 0].numpy()  # n M: which token stands where
        window, position = np.argwhere(places == row * side + column)[0]
        rows = prepared.attention[stage - 1][int(shifted)][window, :, position]  # h M
        weights = np.zeros((len(rows), side * side), np.float32)
        weights[:, places[window]] = rows
        number = np.empty(side * side, np.int64)
        number[places.ravel()] = np.repeat(np.arange(len(places)), places.shape[1])
        allowed = np.zeros(side * side, bool)
        allowed[places[window]] = True if block.mask is None else block.mask[window, position].cpu().numpy()
        return Looked(weights.reshape(-1, side, side), (row, column), number.reshape(side, side), allowed.reshape(side, side))


def _size(x: Tensor) -> np.ndarray:
    """(1, C, S, S) to (S, S): root mean square over channels."""
    return x[0].float().square().mean(dim=0).sqrt().cpu().numpy()


def _enlarged(maps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(K, S, S) to (K, H, W), smoothly."""
    if maps.shape[1:] == shape:
        return maps
    return F.interpolate(torch.from_numpy(maps)[None], shape, mode="bilinear", align_corners=False)[0].numpy()
