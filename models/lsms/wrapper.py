"""What the screen calls: a picture read once, then phrase after phrase with everything that can be shown of an answer. NumPy in and out.

    predictor = load_predictor("full")
    prepared = predictor.prepare(picture)
    answer = predictor.ask(prepared, "the larger dark lesion in the right lobe")

Legend: H×W the picture, S the network's side, T words, h_i×w_i places of stage i.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.lsms import phrases
from models.lsms.config import from_json
from models.lsms.network import LSMS, Trace
from models.lsms.plan import ARMS, OWN
from models.lsms.record import METHOD
from models.lsms.study import network_of
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array

if TYPE_CHECKING:
    from models.shared.backbones.published_text import Published

SIDE = 64
NOTHING = 0.5
"""No matching lesion where no probability reaches this (spec §5.8)."""


class PhraseRefused(ValueError):
    """A phrase, picture or setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network can be asked about."""

    x: Tensor
    """float32 (1, 1, S, S)."""
    shape: tuple[int, int]
    """(H, W)."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One phrase answered."""

    probability: np.ndarray
    """float32 (H, W)."""
    highest: float
    words: tuple[str, ...]
    unknown: tuple[str, ...]
    """Words the network has never met."""
    attention: tuple[np.ndarray, ...]
    """Stage by stage (T, h_i, w_i): how much each place listens to each word, summing to 1 over words; empty without language."""
    branches: tuple[dict[str, np.ndarray], ...]
    """Stage by stage: branch → (h_i, w_i), the size of what it adds."""
    similarity: np.ndarray
    """(h_1, w_1) in −1…1: how near each pixel lies to the sentence."""
    without_scale: tuple[np.ndarray, ...]
    """(H, W) each: the probability where the decoder is not given that scale."""

    @property
    def found(self) -> bool:
        """Whether anything fits the phrase."""
        return self.highest >= NOTHING

    def mask(self, threshold: float = 0.5) -> np.ndarray:
        """bool (H, W); empty where nothing fits the phrase."""
        return (self.probability > threshold) & self.found


@dataclass(frozen=True, eq=False)
class Uncertain:
    """The mean answer to changed pictures and how far the answers differ."""

    mean: np.ndarray
    """(H, W)."""
    spread: np.ndarray
    """(H, W): standard deviation."""
    doubt: float
    """Mean spread over what is outlined, 0…0.5; above a level of the caller's the answer is better withheld."""


def checkpoint() -> Path:
    """What answers: the shipped weights, or those that WORKBENCH_LSMS names (trained with a published text encoder, say)."""
    return Path(os.environ.get("WORKBENCH_LSMS") or METHOD.checkpoint)


def load_predictor(arm: str = OWN, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained network of an arm, kept for the next caller. CheckpointRefused, PhraseRefused or TextRefused with a sentence."""
    path = Path(path or checkpoint())
    return _load(path, read_card(path).sha256, arm, device)


@lru_cache(maxsize=10)
def _load(path: Path, _sha256: str, arm: str, device: str) -> Predictor:
    tensors, card = load(path)
    if arm not in card.extra["arms"]:
        raise PhraseRefused(f"The checkpoint holds no network {arm!r}; it holds {', '.join(card.extra['arms'])}.")
    try:
        net = network_of(
            from_json(card.extra["arms"][arm]["network"]),
            {name.removeprefix(f"{arm}."): value for name, value in tensors.items() if name.startswith(f"{arm}.")},
        )
    except ValueError as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    text = None
    if card.extra.get("text"):
        from models.shared.backbones.published_text import load_published

        text = load_published(card.extra["text"])
    return Predictor(net.to(device), arm, card.sha256, text)


class Predictor:
    """One trained network at work; safe to use from several threads."""

    def __init__(self, net: LSMS, arm: str = OWN, sha256: str = "", text: Published | None = None) -> None:
        """text: the published encoder the network was trained with; None for its own small one."""
        self.net, self.arm, self.label, self.sha256, self.text = net.eval(), arm, ARMS[arm].label, sha256, text

    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), uint8 or floats in 0…1. PhraseRefused for pixels that cannot be used."""
        values = np.asarray(picture)
        try:
            seen = as_array("The picture", values, mode="L", size=SIDE)
        except DataDamaged as fault:
            raise PhraseRefused(str(fault)) from fault
        x = torch.from_numpy(seen.copy()).float()[None, None] / 255
        return Prepared(x.to(next(self.net.parameters()).device), values.shape[:2])

    @torch.no_grad()
    def ask(self, prepared: Prepared, text: str) -> Answer:
        """What the phrase names, and how the network came to it. PhraseRefused for a phrase without words."""
        words = phrases.words_of(text)
        if not words:
            raise PhraseRefused("Write what is to be outlined, for instance “the large dark lesion in the right lobe”.")
        trace, (tokens, mask) = Trace(), self._read([text], prepared.x.device)
        out = self.net(prepared.x, tokens, mask, trace=trace)
        stages = [stage.shape[-2:] for stage in trace.stages]
        attention = tuple(rows[0].T.reshape(-1, *size).cpu().numpy() for rows, size in zip(trace.words, stages, strict=False))
        branches = tuple({name: one[0].square().mean(0).sqrt().cpu().numpy() for name, one in found.items()} for found in trace.branches)
        similarity = torch.einsum("bdhw,bd->bhw", out.pixels, out.sentence)[0].cpu().numpy()
        probability = self._probability(out.logits, prepared.shape)
        kept = [tuple(other for other in range(len(stages)) if other != k) for k in range(len(stages))]
        each = tuple(self._probability(self.net(prepared.x, tokens, mask, scales=scales).logits, prepared.shape) for scales in kept)
        highest = float(out.logits.sigmoid().max())
        seen, unknown = (words, phrases.unknown_words(text)) if self.text is None else (self.text.pieces(text), ())
        return Answer(probability, highest, tuple(seen), tuple(unknown), attention, branches, similarity, each)

    @torch.no_grad()
    def masks(self, prepared: Prepared, texts: list[str], threshold: float = 0.5) -> list[np.ndarray]:
        """bool (H, W) for each of several phrases at once, such as counterfactuals."""
        tokens, mask = self._read(texts, prepared.x.device)
        logits = self.net(prepared.x.expand(len(texts), -1, -1, -1), tokens, mask).logits
        p = F.interpolate(logits.sigmoid(), prepared.shape, mode="bilinear", align_corners=False)[:, 0].cpu().numpy()
        return [
            one > threshold if float(whole.sigmoid().max()) >= NOTHING else np.zeros(prepared.shape, bool)
            for one, whole in zip(p, logits, strict=True)
        ]

    @torch.no_grad()
    def uncertain(self, prepared: Prepared, text: str, *, n: int = 8, noise: float = 0.04, seed: int = 0) -> Uncertain:
        """`n` noisy copies, every other one mirrored with its side words swapped."""
        generator = torch.Generator().manual_seed(seed)
        x = prepared.x.expand(n, -1, -1, -1) + noise * torch.randn(n, *prepared.x.shape[1:], generator=generator).to(prepared.x)
        turned = torch.arange(n) % 2 == 1
        x = torch.where(turned.to(x.device)[:, None, None, None], x.flip(-1), x)
        tokens, mask = self._read([phrases.mirrored(text) if turn else text for turn in turned.tolist()], x.device)
        p = self.net(x, tokens, mask).logits.sigmoid()
        p = torch.where(turned.to(x.device)[:, None, None, None], p.flip(-1), p)
        p = F.interpolate(p, prepared.shape, mode="bilinear", align_corners=False)[:, 0].cpu().numpy()
        mean, spread = p.mean(0), p.std(0)
        inside = mean > 0.5
        return Uncertain(mean, spread, float(spread[inside].mean()) if inside.any() else float(spread.max()))

    def _read(self, texts: list[str], device: torch.device) -> tuple[Tensor, Tensor | None]:
        """What the network takes for phrases: word numbers, or a published encoder's features with their mask."""
        return (torch.from_numpy(phrases.tokens(texts)).to(device), None) if self.text is None else self.text(texts, device)

    @staticmethod
    def _probability(logits: Tensor, shape: tuple[int, int]) -> np.ndarray:
        return F.interpolate(logits.sigmoid(), shape, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
