"""What the screen, a job and a batch call: lay spots over a slide, predict them chunk by chunk, look into one of them.

    predictor = load_predictor("full")
    grid = spot_grid(source, pitch_um=100)
    for chunk in predictor.predict(source, grid, indices): chunk.indices, chunk.values

N spots, G genes, V views in use, S side of a view in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from models.m2ost.arms import ARMS, LEAKY, LEAKY_TITLE
from models.m2ost.grid import SpotGrid, spot_grid
from models.m2ost.views import FIELD_UM, Views, in_order
from models.shared.checkpoints import CheckpointRefused, load
from models.shared.method import get
from models.shared.slides import SlideSource

if TYPE_CHECKING:
    from models.m2ost.network import M2OST

__all__ = ["Chunk", "Gene", "Inspection", "PatchMap", "Predictor", "SpotGrid", "load_predictor", "spot_grid"]

BATCH = 64
MADE_UP = "These genes are made up and were learned on drawn sections. On a real slide the map shows the method at work and says nothing about the tissue."
TURNS = 8
"""Flips and quarter turns of the test-time average."""


@dataclass(frozen=True)
class Gene:
    """One predicted gene. score: its correlation by gene on held-out sections, None where it was not measured."""

    name: str
    group: str
    limits: tuple[float, float]
    score: float | None


@dataclass(frozen=True, eq=False)
class Chunk:
    """Predictions of some spots, log(1 + CPM). spread: standard deviation over flips and turns, where they were asked for."""

    indices: np.ndarray
    values: np.ndarray = field(repr=False)
    spread: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class PatchMap:
    """Patches of one size in a view: what the class token draws from each, (n, n), mean over heads and blocks. `share` of the view's side they cover."""

    ground_um: float
    share: float
    attention: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Inspection:
    """One spot from the inside."""

    values: np.ndarray = field(repr=False)
    """(G,)."""
    crops: tuple[np.ndarray, ...] = field(repr=False)
    """uint8 (S, S, 3) per view: what the network sees."""
    big_crops: tuple[np.ndarray, ...] = field(repr=False)
    """The same fields for people, uint8 (224, 224, 3)."""
    boxes: tuple[tuple[float, float, float, float], ...]
    """Left, top, width, height in level-0 pixels per view."""
    groups: tuple[tuple[PatchMap, ...], ...] = field(repr=False)
    """Per view, finest patches first."""
    listens: np.ndarray | None
    """(V, V): who listens to which view, NaN on the diagonal; None for one view or without CTMM."""
    gates: np.ndarray | None
    """(V,): mean gate of each view in 0…1; None without CCMM."""
    spread: np.ndarray | None = field(default=None, repr=False)


class Predictor:
    """One trained network with what is needed to use it. Thread-safe: one answer at a time."""

    def __init__(
        self,
        network: M2OST,
        genes: Sequence[Gene],
        mean_profile: np.ndarray,
        *,
        sha256: str,
        title: str,
        device: str = "cpu",
        note: str = "",
    ) -> None:
        self.network, self.genes, self.mean_profile = network.eval().to(device), tuple(genes), mean_profile
        self.sha256, self.title, self.device, self.field_um, self.note = sha256, title, device, FIELD_UM, note
        self._lock = Lock()

    @property
    def levels(self) -> tuple[int, ...]:
        """The views the network was trained with."""
        return self.network.levels

    def predict(
        self,
        source: SlideSource,
        grid: SpotGrid,
        indices: np.ndarray | Sequence[int],
        *,
        levels: Sequence[int] = (0, 1, 2),
        flips: bool = False,
        batch: int = BATCH,
        stop: Callable[[], bool] | None = None,
        views: Views | None = None,
    ) -> Iterator[Chunk]:
        """Predict these spots, neighbours together so that each stretch of each raster is read once. `stop` is asked between batches.

        levels: those switched off are left out. views: to share rasters between calls. ValueError when no view is left, or the size of a pixel is not known.
        """
        wanted = np.asarray(indices, np.int64)
        cutter = views or Views(source, mpp=grid.mpp, side=self.network.image)
        order = wanted[in_order(grid.xy[wanted], 4 * cutter.field_px)]
        off = self._off(levels)
        for start in range(0, len(order), batch):
            if stop is not None and stop():
                return
            rows = order[start : start + batch]
            packed = np.stack(cutter.cut(grid.xy[rows], self.levels), 1)
            values, spread = self.answer(packed, off=off, flips=flips)
            yield Chunk(rows, values, spread)

    def answer(self, packed: np.ndarray, *, off: Sequence[int] = (), flips: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """(B, G), and the spread over flips, for views uint8 (B, V, S, S, 3)."""
        import torch

        with self._lock, torch.inference_mode():
            images = [
                torch.from_numpy(packed[:, place]).to(self.device).permute(0, 3, 1, 2).float() / 255 for place in range(packed.shape[1])
            ]
            if not flips:
                return self.network(images, off=tuple(off)).cpu().numpy(), None
            all_ = torch.stack([self.network([_turned(image, turn) for image in images], off=tuple(off)) for turn in range(TURNS)])
            return all_.mean(0).cpu().numpy(), all_.std(0).cpu().numpy()

    def inspect(
        self, source: SlideSource, grid: SpotGrid, index: int, *, levels: Sequence[int] = (0, 1, 2), flips: bool = False
    ) -> Inspection:
        """One spot from the inside. IndexError for a spot that does not exist."""
        import torch

        if not 0 <= index < len(grid.xy):
            raise IndexError(f"There is no spot {index}; this slide has {len(grid.xy)}.")
        cutter = Views(source, mpp=grid.mpp, side=self.network.image)
        xy, off = grid.xy[[index]], self._off(levels)
        packed = np.stack(cutter.cut(xy, self.levels), 1)
        with self._lock, torch.inference_mode():
            images = [
                torch.from_numpy(packed[:, place]).to(self.device).permute(0, 3, 1, 2).float() / 255 for place in range(packed.shape[1])
            ]
            values, inside = self.network(images, off=tuple(off), inside=True)
        listens = None
        if inside.listens is not None:
            listens = inside.listens[0].mean(0).cpu().numpy()
            np.fill_diagonal(listens, np.nan)
        boxes = tuple(cutter.box(*xy[0], level) for level in self.levels)
        return Inspection(
            values=values[0].cpu().numpy(),
            crops=tuple(packed[0]),
            big_crops=tuple(_shown(source, box) for box in boxes),
            boxes=boxes,
            groups=tuple(
                self._groups(level, inside.attention[place][0].mean((0, 1)).cpu().numpy()) for place, level in enumerate(self.levels)
            ),
            listens=listens,
            gates=None if inside.gates is None else inside.gates[0].mean((0, 2)).cpu().numpy(),
            spread=self.answer(packed, off=off, flips=True)[1][0] if flips else None,
        )

    def _groups(self, level: int, attention: np.ndarray) -> tuple[PatchMap, ...]:
        """attention (tokens,) of one view as maps; the class token's own place is left out."""
        count, width = self.network.per_group, FIELD_UM * 2**level
        side = round(count**0.5)
        made = []
        for place, finer in enumerate(self.network.groups(level)):
            part = attention[1 + place * count : 1 + (place + 1) * count]
            made.append(PatchMap(width / finer / side, 1 / finer, part.reshape(side, side)))
        return tuple(made)

    def _off(self, levels: Sequence[int]) -> tuple[int, ...]:
        off = tuple(level for level in self.levels if level not in levels)
        if len(off) == len(self.levels):
            raise ValueError("At least one of the network's views must stay on.")
        return off


def load_predictor(arm: str = "full", *, path: str | Path | None = None, device: str = "cpu") -> Predictor:
    """A shipped network by its arm, or one of somebody's own training by its file; kept in memory, shared by all.

    CheckpointRefused or ValueError with a sentence.
    """
    if path is not None:
        return _own(str(path), Path(path).stat().st_mtime_ns if Path(path).exists() else 0, device)
    if arm not in (*ARMS, LEAKY):
        raise ValueError(f"There is no network called {arm!r}; choose among {', '.join(ARMS)}.")
    return _shipped(arm, device)


@lru_cache(maxsize=16)
def _shipped(arm: str, device: str) -> Predictor:
    from models.m2ost.recipe import MEAN, restored

    tensors, card = load(get("m2ost").checkpoint)
    seed = int(card.config["seeds"][0])
    try:
        split, which, title = ("slide", "full", LEAKY_TITLE) if arm == LEAKY else ("patient", arm, ARMS[arm].title)
        network = restored(tensors, split, which, seed)
    except KeyError as fault:
        raise CheckpointRefused(f"The shipped weights hold no network “{title}”; make them again.") from fault
    mean = tensors[f"patient.{MEAN}"].float().numpy()
    scores = {row["name"]: row.get("pcc") for row in card.extra["genes"]} if arm == "full" else {}
    genes = [Gene(row["name"], row["group"], rounded(*row["range"]), scores.get(row["name"])) for row in card.extra["genes"]]
    return Predictor(network, genes, mean, sha256=card.sha256, title=title, device=device, note=MADE_UP)


@lru_cache(maxsize=8)
def _own(path: str, _stamp: int, device: str) -> Predictor:
    from models.m2ost.own import restored_own

    return restored_own(Path(path), device)


def rounded(low: float, high: float) -> tuple[float, float]:
    """Limits of a gene's colours: fixed, its usual range over the training spots (2nd to 98th percentile) to one digit, at least half a unit wide and never below 0."""
    low = max(0.0, float(np.floor(low * 10) / 10))
    return (round(low, 1), round(max(float(np.ceil(high * 10) / 10), low + 0.5), 1))


def _turned(image: Any, turn: int) -> Any:
    import torch

    some = torch.rot90(image, turn % 4, (-2, -1))
    return some.flip(-1) if turn >= 4 else some


def _shown(source: SlideSource, box: tuple[float, float, float, float], side: int = 224) -> np.ndarray:
    left, top, width, height = (round(number) for number in box)
    return source.read(left, top, max(1, width), max(1, height), out=(side, side))
