"""What the screen calls: a trained network by task, labels and arm; a picture read once, then everything inside under options, as often as wanted.

    predictor = load_predictor("cardiac", "semsim", labelled=1)
    prepared = predictor.prepare(picture)                     # the network runs here, once for each content
    result = predictor.run(prepared, Options(t_cr=1.0))       # mask, three pseudo-labels, agreement, what was rectified
    row = predictor.affinity(prepared, (40, 60), temperature=0.1)
    said = predictor.similarity(prepared, (40, 60))           # bars for each labelled picture and class

Everything handed back is a frozen record of arrays (`results`). Safe to use from several threads: a predictor keeps caches by content alone.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.semsim import inside
from models.semsim.network import SemSim
from models.semsim.plan import OWN
from models.semsim.record import METHOD
from models.semsim.results import Affinity, Board, OptionRefused, Options, Prepared, PseudoLabel, Result, Scatter, Similarity
from models.semsim.semantics import Prototypes, agreement, labels_at_features, prototypes, query, similarities, spread
from models.semsim.study_data import from_bytes
from models.semsim.weights import MASKS, PICTURES, level_key, network_of, split_states
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array

_KEPT = 24


def shipped(path: Path | None = None) -> dict[str, dict]:
    """Task → what its card says of it (title, structures, levels of labels with their arms …). CheckpointRefused when there is no card."""
    return dict(read_card(path or METHOD.checkpoint).extra["tasks"])


def load_predictor(task: str = "", arm: str = OWN, labelled: int = 0, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The network of that task, arm and number of labelled pictures, kept for the next caller; "" and 0 take the card's first.

    `path`: another checkpoint of this room, such as one trained on own pictures. Raises CheckpointRefused or OptionRefused with a sentence.
    """
    path = Path(path or METHOD.checkpoint)
    card = read_card(path)  # looked at each time, so that a changed file is noticed
    task = task or next(iter(card.extra["tasks"]))
    levels = card.extra["tasks"].get(task, {}).get("levels", {})
    level = level_key(labelled) if labelled else next(iter(levels), "")
    return _load(path, card.sha256, task, level, arm, device)


@lru_cache(maxsize=32)
def _load(path: Path, sha256: str, task: str, level: str, arm: str, device: str) -> Predictor:
    tensors, card = _tensors(path, sha256)
    facts = card.extra["tasks"].get(task, {"levels": {}})
    if arm not in facts["levels"].get(level, {"arms": {}})["arms"]:
        known = "; ".join(
            f"{name} with {one['labelled']} labelled: {', '.join(one['arms'])}"
            for name, its in card.extra["tasks"].items()
            for one in its["levels"].values()
        )
        raise OptionRefused(f"The checkpoint holds no network {arm!r} for {task!r} with these labels; it holds {known}.")
    at = facts["levels"][level]
    try:
        net = network_of(at["arms"][arm], split_states(tensors)[task, level, arm])
        pictures, masks = (tensors[f"{task}.{name}"][: at["labelled"]] for name in (PICTURES, MASKS))
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    return Predictor(net.to(device), task, arm, facts, pictures, masks, f"{sha256}|{task}|{level}|{arm}")


@lru_cache(maxsize=2)
def _tensors(path: Path, _sha256: str):
    return load(path)


class Predictor:
    """One trained network at work, with the labelled pictures it knows."""

    def __init__(self, net: SemSim, task: str, arm: str, facts: Mapping, pictures: Tensor, masks: Tensor, key: str = "") -> None:
        """`facts`: what the card says of the task; pictures uint8 (L, S, S) or (L, S, S, 3) and masks uint8 (L, S, S) that kept their labels."""
        self.net, self.task, self.arm, self.key = net.eval(), task, arm, key
        self.title: str = facts["title"]
        self.kind: str = facts["kind"]
        self.structures: tuple[str, ...] = tuple(facts["structures"])
        self.classes: tuple[str, ...] = ("background", *self.structures)
        self.side: int = net.config.side
        self.feature_side: int = net.config.feature_side
        self.labelled: int = len(pictures)
        self._pictures, self._masks = pictures, masks
        self._known: Tensor | None = None
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = Lock()

    @property
    def looks_inside(self) -> bool:
        """Whether there are features to take similarities of."""
        return self.net.fusion is not None

    @property
    def grids(self) -> tuple[int, ...]:
        """Numbers of cells a side that the features can be cut into."""
        return tuple(n for n in range(1, self.feature_side + 1) if self.feature_side % n == 0)

    # ------------------------------------------------------------------ prepare
    def prepare(self, picture: np.ndarray) -> Prepared:
        """Read a picture: (H, W) or (H, W, 3), uint8 or floats in 0…1. OptionRefused for pixels that cannot be used."""
        values = np.asarray(picture)
        try:
            seen = as_array("The picture", values, mode="RGB" if self.net.config.in_channels == 3 else "L", size=self.side)
        except DataDamaged as fault:
            raise OptionRefused(str(fault)) from fault
        key = hashlib.sha256(f"{self.key}|{values.shape}|{values.dtype}|".encode() + values.tobytes()).hexdigest()
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        prepared = self._read(key, values, seen)
        with self._lock:
            self._kept[key] = prepared
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return prepared

    @torch.no_grad()
    def _read(self, key: str, values: np.ndarray, seen: np.ndarray) -> Prepared:
        x = from_bytes(torch.from_numpy(seen.copy())[None])
        out = self.net(x.to(self._device), features=self.looks_inside)
        return Prepared(
            key=key,
            picture=values if values.dtype == np.uint8 else (np.clip(values, 0, 1) * 255).round().astype(np.uint8),
            seen=seen.astype(np.float32) / 255,
            logits=out.logits[0].float().cpu().numpy(),
            features=None if out.features is None else out.features[0].float().cpu().numpy(),
        )

    # ------------------------------------------------------------------ run
    @torch.no_grad()
    def run(self, prepared: Prepared, options: Options = Options()) -> Result:  # noqa: B008 - frozen
        """Mask, the three pseudo-labels, agreement and what was rectified; no network runs here but once for the labelled pictures.

        OptionRefused for a grid that the features cannot be cut into.
        """
        z = torch.from_numpy(prepared.logits)[None]
        p = F.interpolate(z.softmax(dim=1), prepared.shape, mode="bilinear", align_corners=False)[0]
        pseudo = [_pseudo("p_w", z.log_softmax(dim=1), options.tau)]
        rectified = ubar = None
        if prepared.features is not None:
            f = torch.from_numpy(prepared.features)[None]
            pseudo.append(_pseudo("p1_w", spread(z, f, options.t_aff, options.mode), options.tau))
            m = similarities(f, self._prototypes(options.cells))
            bound = 1 / (1 + (len(self.classes) - 1) * math.exp(-1 / options.t_cr))
            pseudo.append(_pseudo("p2_w", query(m, options.t_cr), options.tau, bound))
            ubar = agreement(m, options.sharpness)[0].numpy()
            rectified = inside.rectified(z, f, pseudo[1].labels)
        return Result(p.argmax(dim=0).to(torch.uint8).numpy(), p.numpy(), tuple(pseudo), rectified, ubar)

    # ------------------------------------------------------------------ look inside
    @torch.no_grad()
    def affinity(self, prepared: Prepared, place: tuple[float, float], temperature: float = 0.1) -> Affinity:
        """The row of A that belongs to a place of the picture (row, column, in its pixels). OptionRefused without features or outside the picture."""
        if not 0.001 <= temperature <= 100:
            raise OptionRefused("A temperature lies in 0.001 to 100.")
        pixel = self._pixel(prepared, place)
        return inside.affinity_row(torch.from_numpy(prepared.features), torch.from_numpy(prepared.logits), pixel, temperature)

    @torch.no_grad()
    def similarity(self, prepared: Prepared, place: tuple[float, float], options: Options = Options()) -> Similarity:  # noqa: B008 - frozen
        """What each labelled picture's prototypes say of a place (row, column, in the picture's pixels). OptionRefused as for `affinity`."""
        row, column = self._pixel(prepared, place)
        known = self._prototypes(options.cells)
        m = similarities(torch.from_numpy(prepared.features)[None], known)
        w = self.feature_side // options.cells
        cell = (row // w, column // w)
        present = known.present.numpy()
        return Similarity(
            values=np.where(present, m[0, :, :, row, column].numpy(), np.nan).astype(np.float32),
            fell_back=present & ~known.local[:, cell[0], cell[1]].numpy(),
            probability=query(m, options.t_cr)[0, :, row, column].exp().numpy(),
            agreement=float(agreement(m, options.sharpness)[0, row, column]),
            pixel=(row, column),
            cell=cell,
        )

    def board(self, cells: int = 4) -> Board:
        """The labelled pictures, and which class has a prototype of its own in which cell. OptionRefused for a grid that does not fit."""
        known = self._prototypes(cells)
        return Board(self._pictures.numpy(), self._masks.numpy(), known.local.numpy(), known.present.numpy())

    @torch.no_grad()
    def scatter(self, prepared: Prepared, *, limit: int = 1500) -> Scatter:
        """Features of the picture and of the labelled ones in their two main directions. OptionRefused without features."""
        self._check(prepared)
        labels = labels_at_features(self._masks.long(), self.feature_side)
        return inside.scatter(
            self._labelled_features(), labels, torch.from_numpy(prepared.features), torch.from_numpy(prepared.logits), limit=limit
        )

    # ------------------------------------------------------------------ parts
    @property
    def _device(self) -> torch.device:
        return next(self.net.parameters()).device

    def _check(self, prepared: Prepared) -> None:
        if prepared.features is None:
            raise OptionRefused(
                "This network was trained without the fusion module, so it has no features to look into; choose one that has."
            )

    def _pixel(self, prepared: Prepared, place: tuple[float, float]) -> tuple[int, int]:
        self._check(prepared)
        height, width = prepared.shape
        if not (0 <= place[0] < height and 0 <= place[1] < width):
            raise OptionRefused(f"There is no place {place} in this picture of {width}×{height} pixels.")
        return int(place[0] * self.feature_side / height), int(place[1] * self.feature_side / width)

    @torch.no_grad()
    def _labelled_features(self) -> Tensor:
        """(L, D, h, h) of the labelled pictures, as answering sees them."""
        if not self.looks_inside:
            raise OptionRefused("This network was trained without the fusion module, so it has no prototypes; choose one that has.")
        if self._known is None:
            x = from_bytes(self._pictures).to(self._device)
            self._known = torch.cat([self.net(part, features=True).features.float().cpu() for part in x.split(16)])
        return self._known

    def _prototypes(self, cells: int) -> Prototypes:
        if self.feature_side % cells:
            raise OptionRefused(
                f"Features of {self.feature_side} pixels cannot be cut into {cells} cells a side; take one of {self.grids}."
            )
        known = self._labelled_features()
        return prototypes(known, labels_at_features(self._masks.long(), self.feature_side), len(self.classes), cells)


def _pseudo(name: str, log_p: Tensor, tau: float, bound: float | None = None) -> PseudoLabel:
    p = log_p[0].exp()
    confidence, labels = p.max(dim=0)
    kept = confidence >= tau
    return PseudoLabel(name, p.numpy(), labels.to(torch.uint8).numpy(), confidence.numpy(), kept.numpy(), float(kept.float().mean()), bound)
