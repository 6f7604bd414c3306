"""What the screen calls: a picture's findings with the share of every scale, where each finding's words looked, and experiments on them. NumPy in and out.

    predictor = load_predictor("full")
    answer = predictor.answer(predictor.prepare(picture))

Legend: K findings, S stages read by the head, B blocks, side of the network's square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.hsvlt import findings
from models.hsvlt.config import from_json
from models.hsvlt.labels import label_vectors
from models.hsvlt.network import HSVLT, Trace
from models.hsvlt.plan import ARMS, OWN
from models.hsvlt.record import METHOD
from models.hsvlt.study import VECTORS, network_of
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array

SIDE = 96


class PictureRefused(ValueError):
    """A picture, finding or setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network can be asked about."""

    x: Tensor
    """float32 (1, 1, side, side)."""
    shape: tuple[int, int]
    """(H, W) of the picture."""


@dataclass(frozen=True, eq=False)
class Block:
    """What one block did, for stepping through them."""

    stage: int
    attention: np.ndarray
    """(K, h, w): where each finding's words looked; each map sums to 1."""
    label_size: np.ndarray
    """(K,): length of L after the block."""
    fused_size: np.ndarray
    """(K,): length of S."""
    gate: np.ndarray
    """(K,): mean size of the gate."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One picture read."""

    names: tuple[str, ...]
    probability: np.ndarray
    """(K,)."""
    logit: np.ndarray
    """(K,)."""
    contributions: np.ndarray
    """(K, S): what each stage adds; with `bias` they sum to the logit. Zeros for the top-down decoder, which cannot be taken apart."""
    bias: np.ndarray
    """(K,)."""
    stages: tuple[int, ...]
    """The numbers of the stages read."""
    blocks: tuple[Block, ...]
    similarity: tuple[np.ndarray, ...]
    """(K, K) each: cosines between the findings' vectors, as given and after each stage's last block."""

    def attention(self, stage: int) -> np.ndarray:
        """(K, h, w) of a stage's last block."""
        return [block for block in self.blocks if block.stage == stage][-1].attention

    def deciding(self, name: str) -> int:
        """The stage that adds most to a finding's logit; the last that is read where no shares are told."""
        row = self.contributions[self.names.index(name)]
        return self.stages[int(row.argmax())] if row.any() else self.stages[-1]


@dataclass(frozen=True, eq=False)
class Reworded:
    """A finding asked in other words: its own weights in the head, the vector of the new words."""

    probability: float
    own: float
    """With the finding's own name."""
    cosine: float
    """Between the two vectors."""
    nearest: str
    """The finding whose vector is nearest to the new words'."""
    attention: tuple[np.ndarray, ...]
    """(h, w) of each stage's last block, asked in the new words."""


def load_predictor(arm: str = OWN, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained network of an arm, kept for the next caller. CheckpointRefused or PictureRefused with a sentence."""
    path = Path(path or METHOD.checkpoint)
    return _load(path, read_card(path).sha256, arm, device)


@lru_cache(maxsize=12)
def _load(path: Path, _sha256: str, arm: str, device: str) -> Predictor:
    tensors, card = load(path)
    if arm not in card.extra["arms"]:
        raise PictureRefused(f"The checkpoint holds no network {arm!r}; it holds {', '.join(card.extra['arms'])}.")
    own = {name.removeprefix(f"{arm}."): value for name, value in tensors.items() if name.startswith(f"{arm}.")}
    try:
        net = network_of(from_json(card.extra["arms"][arm]["network"]), own)
        vectors = own[VECTORS].float()
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    return Predictor(net.to(device), vectors.to(device), findings.FINDINGS, arm, card.sha256)


class Predictor:
    """One trained network at work; safe to use from several threads."""

    def __init__(self, net: HSVLT, vectors: Tensor, names: Sequence[str], arm: str = OWN, sha256: str = "") -> None:
        self.net, self.vectors, self.names, self.arm, self.sha256 = net.eval(), vectors, tuple(names), arm, sha256
        self.label, self.side = ARMS[arm].label, SIDE
        self.adds_up = net.config.aggregate == "concat"
        """Whether the scales' shares add up to the logit."""

    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), uint8 or floats in 0…1. PictureRefused for pixels that cannot be used."""
        values = np.asarray(picture)
        try:
            seen = as_array("The picture", values, mode="L", size=SIDE)
        except DataDamaged as fault:
            raise PictureRefused(str(fault)) from fault
        x = torch.from_numpy(seen.copy()).float()[None, None] / 255
        return Prepared(x.to(self.vectors.device), values.shape[:2])

    @torch.no_grad()
    def answer(self, prepared: Prepared, names: Sequence[str] | None = None, silent: Sequence[int] = ()) -> Answer:
        """All findings, or only some of them: for the released network the others' answers stay as they are. silent: stages whose share is left out.
        PictureRefused for an unknown finding."""
        rows = self._rows(names)
        trace = Trace()
        out = self.net(prepared.x, self.vectors[rows], trace=trace, rows=rows, silent=tuple(silent))
        blocks = []
        for place, stage in enumerate(trace.stage):
            h, w = trace.size[place]
            blocks.append(
                Block(
                    stage,
                    trace.attention[place][0].mean(0).view(-1, h, w).cpu().numpy(),
                    trace.labels[place][0].norm(dim=-1).cpu().numpy(),
                    trace.fused[place][0].norm(dim=-1).cpu().numpy(),
                    trace.gates[place][0].abs().mean(-1).cpu().numpy(),
                )
            )
        last = {stage: place for place, stage in enumerate(trace.stage)}
        states = [self.vectors[rows], *(trace.labels[place][0] for place in last.values())]
        cosines = tuple((F.normalize(x, dim=-1) @ F.normalize(x, dim=-1).T).cpu().numpy() for x in states)
        return Answer(
            tuple(self.names[row] for row in rows.tolist()),
            out.logits[0].sigmoid().cpu().numpy(),
            out.logits[0].cpu().numpy(),
            out.contributions[0].cpu().numpy(),
            self.net.bias[rows].cpu().numpy(),
            self.net.config.stages,
            tuple(blocks),
            cosines,
        )

    @torch.no_grad()
    def occlusion(self, prepared: Prepared, name: str, *, patch: int = 12, step: int = 6) -> np.ndarray:
        """(n, n): by how much the finding's logit falls when a square of the picture is replaced by the picture's blurred self; below 0 it rises.

        The square has `patch` pixels of the network's own, and moves by `step`: what attention points at can be checked by taking it away.
        """
        row = self._rows([name])
        soft = _blurred(prepared.x)
        corners = range(0, SIDE - patch + 1, step)
        copies = torch.cat([_patched(prepared.x, soft, y, x, patch) for y in corners for x in corners])
        logits = torch.cat([self.net(part, self.vectors).logits[:, row] for part in copies.split(64)])
        fall = self.net(prepared.x, self.vectors).logits[:, row] - logits
        return fall.view(len(corners), len(corners)).cpu().numpy()

    @torch.no_grad()
    def covered(self, prepared: Prepared, place: tuple[float, float], *, patch: int = 12) -> tuple[np.ndarray, np.ndarray]:
        """A square around a place (y, x as shares of the picture's sides) replaced as in `occlusion`: all findings' logits (K,) with it, and where it
        lies, bool (side, side)."""
        y, x = (min(max(round(at * SIDE - patch / 2), 0), SIDE - patch) for at in place)
        logits = self.net(_patched(prepared.x, _blurred(prepared.x), y, x, patch), self.vectors).logits[0]
        where = np.zeros((SIDE, SIDE), bool)
        where[y : y + patch, x : x + patch] = True
        return logits.cpu().numpy(), where

    @torch.no_grad()
    def reworded(self, prepared: Prepared, name: str, text: str) -> Reworded:
        """A finding asked in other words. PictureRefused without words, and for a network whose labels have none."""
        (row,) = self._rows([name]).tolist()
        words = " ".join(str(text or "").split())
        kind = ARMS[self.arm].vectors
        if not any(letter.isalnum() for letter in words):
            raise PictureRefused("Write a few words for this finding, such as “a round spot”.")
        if kind == "random":
            raise PictureRefused(
                "This network's findings are numbers without words, so nothing can be asked in other words. Choose another network."
            )
        vectors, trace = self.vectors.clone(), Trace()
        vectors[row] = label_vectors([words], kind, vectors.shape[1])[0].to(vectors)
        both = [self.net(prepared.x, asked, trace=trace).logits[0, row].sigmoid().item() for asked in (self.vectors, vectors)]
        cosines = F.cosine_similarity(vectors[row : row + 1], self.vectors)
        last = {stage: place for place, stage in enumerate(trace.stage)}  # of the second pass, which comes after the first
        maps = [trace.attention[place][0, :, row].mean(0).view(trace.size[place]).cpu().numpy() for place in last.values()]
        return Reworded(both[1], both[0], float(cosines[row]), self.names[int(cosines.argmax())], tuple(maps))

    @torch.no_grad()
    def growing(self, seed: int, name: str, sizes: Sequence[float]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The finding alone on the made-up picture of a seed, drawn at several sizes: probabilities (n,), contributions (n, S), pictures uint8 (2 side, 2 side)."""
        row = self._rows([name])
        pictures = [findings.sample(seed, 2 * SIDE, findings=[name], size=float(size)).image for size in sizes]
        x = F.avg_pool2d(torch.from_numpy(np.stack(pictures))[:, None].to(self.vectors.device), 2)
        out = self.net(x, self.vectors)
        shown = [(one * 255).round().astype(np.uint8) for one in pictures]
        return out.logits[:, row].sigmoid()[:, 0].cpu().numpy(), out.contributions[:, row][:, 0].cpu().numpy(), shown

    def _rows(self, names: Sequence[str] | None) -> Tensor:
        if names is None:
            return torch.arange(len(self.names), device=self.vectors.device)
        strangers = [name for name in names if name not in self.names]
        if strangers or not names:
            raise PictureRefused(f"Choose at least one of the findings {', '.join(self.names)}.")
        return torch.tensor([self.names.index(name) for name in names], device=self.vectors.device)


def _blurred(x: Tensor) -> Tensor:
    """(1, 1, S, S): means over a square of 23 pixels, in which nothing of a finding's size is left."""
    return F.avg_pool2d(x, 23, 1, 11, count_include_pad=False)


def _patched(x: Tensor, soft: Tensor, top: int, left: int, patch: int) -> Tensor:
    """(1, 1, S, S): a square of the picture replaced by its blurred self."""
    one = x.clone()
    one[..., top : top + patch, left : left + patch] = soft[..., top : top + patch, left : left + patch]
    return one
