"""What the screen calls: whether a note fits a picture, which lesion a phrase means, and what infusion did on the way. NumPy in and out.

    predictor = load_predictor("full")
    prepared = predictor.prepare(picture)
    predictor.judge(prepared, "liver CT: one large dark lesion")        # Reading with probabilities of agree, contradict, unrelated
    predictor.outline(prepared, "the larger lesion", strength=0.5)      # Reading with a map of probabilities
    predictor.judge(prepared, "...", parts=Parts(keys=False))           # the same weights with a part left out by hand
    predictor.judge(prepared, "...", told=another)                      # the language model is told of another picture
    predictor.cost("the larger lesion")                                 # tokens, numbers that learn, operations beside patches before the text

Legend: T tokens of the request, h heads, Λ infused layers, L all layers of the language model.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.mit.config import Config, Sizes, flops, from_json
from models.mit.features import Seen, look
from models.mit.heads import Outline, outline_probability
from models.mit.network import MiT, Trace
from models.mit.plan import ARMS, OWN, Plan, read_plan
from models.mit.recipe import of_arm
from models.mit.record import METHOD
from models.mit.study import network_of
from models.mit.study_data import request
from models.shared.backbones import shelf
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import load as load_decoder
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.phantoms.notes import VERDICTS
from models.shared.data.pictures import as_array

MAX_WORDS = 60
"""Tokens of a request."""
TIMED = 9
"""Passes of a timing, of which the middle one counts."""


class PictureRefused(ValueError):
    """A picture, text or setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network can be asked about."""

    seen: Seen
    shape: tuple[int, int]
    """(H, W) of the picture."""


@dataclass(frozen=True)
class Parts:
    """Which parts of a trained network act. What is left out by hand was there in training, so such an answer shows the part's share and no rival method."""

    keys: bool = True
    values: bool = True
    ffn: bool = True
    learned: bool = True
    cosine: bool = True
    layers: tuple[int, ...] | None = None
    """Which of the infused layers, from 1; None: all of them."""

    def of(self, config: Config) -> Config:
        """The settings of a trained network with these parts alone; with no part of any layer left, nothing is infused."""
        kept = {name: getattr(config, name) and getattr(self, name) for name in ("keys", "values", "ffn", "learned", "cosine")}
        layers = tuple(number for number in config.layers if self.layers is None or number in self.layers)
        acts = kept["keys"] or kept["values"] or kept["ffn"]
        return replace(config, **kept, layers=layers if acts else ())


WHOLE = Parts()


@dataclass(frozen=True, eq=False)
class Reading:
    """One answer, and what infusion did on the way to it."""

    probability: np.ndarray
    """(3,) of VERDICTS, or (H, W) of the outline."""
    alone: np.ndarray
    """The same from the language model alone: its own forward pass, in which nothing of this room takes part, under the same head."""
    words: tuple[str, ...]
    """The request as the language model reads it, T of them."""
    unknown: tuple[str, ...]
    """Words of the text that it has never met."""
    layers: tuple[int, ...]
    """Λ."""
    gate: np.ndarray
    """(Λ, h): g."""
    level: np.ndarray
    """(Λ, h): σ(L)."""
    cosine: np.ndarray
    """(Λ, h)."""
    change: Mapping[str, np.ndarray]
    """"keys", "values": ‖Kʳ − K‖ / ‖K‖; "units": mean |F − 1|, times the dial; (Λ,) each."""
    attention: np.ndarray
    """(L, h, T, T): of every layer; with patches before the text these are the last T rows and columns."""
    frozen_attention: np.ndarray
    """The same with the dial at nought."""
    seconds: float


def load_predictor(arm: str = OWN, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained networks of an arm, kept for the next caller. CheckpointRefused or PictureRefused with a sentence."""
    path = Path(path or METHOD.checkpoint)
    return _load(path, read_card(path).sha256, arm, device)


@lru_cache(maxsize=2)
def _decoder(device: str) -> Decoder:
    """One language model for all arms: it is frozen."""
    return load_decoder(device=device)


@lru_cache(maxsize=32)
def _prepared(clip: Clip, data: bytes, shape: tuple[int, ...], dtype: str) -> Prepared:
    """By content: every arm looks at a picture through the same frozen tower."""
    try:
        seen = as_array("The picture", np.frombuffer(data, dtype).reshape(shape), mode="L", size=clip.image_size)
    except DataDamaged as fault:
        raise PictureRefused(str(fault)) from fault
    with torch.no_grad():
        return Prepared(look(clip, clip.preprocess(seen)), shape[:2])


@lru_cache(maxsize=12)
def _load(path: Path, _sha256: str, arm: str, device: str) -> Predictor:
    tensors, card = load(path)
    networks: Mapping[str, Mapping[str, dict]] = card.extra["networks"]
    if not any(arm in arms for arms in networks.values()):
        raise PictureRefused(f"The checkpoint holds no network {arm!r}; it holds {', '.join(card.extra['arms'])}.")
    clip, decoder = shelf.clip("small", device), _decoder(device)
    try:
        made = {task: (from_json(arms[arm]), of_arm(tensors, task, arm)) for task, arms in networks.items() if arm in arms}
        return Predictor(clip, decoder, read_plan(card.config, card.seed), made, arm, card.sha256)
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault


class Predictor:
    """The trained networks of one arm at work; safe to use from several threads."""

    def __init__(
        self,
        clip: Clip,
        decoder: Decoder,
        plan: Plan,
        networks: Mapping[str, tuple[Config, Mapping[str, Tensor]]],
        arm: str = OWN,
        sha256: str = "",
    ) -> None:
        """networks: task → its settings and packed weights."""
        self.clip, self.decoder, self.arm, self.sha256, self.label = clip, decoder, arm, sha256, ARMS[arm].label
        blank = look(clip, torch.zeros(1, 3, clip.image_size, clip.image_size, device=clip.device))
        self.nets: dict[str, MiT] = {
            task: network_of(plan.task(task), config, decoder, blank, packed) for task, (config, packed) in networks.items()
        }

    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), uint8 or floats in 0…1. PictureRefused for pixels that cannot be used."""
        values = np.ascontiguousarray(picture)
        return _prepared(self.clip, values.tobytes(), values.shape, values.dtype.str)

    def judge(self, prepared: Prepared, note: str, *, strength: float = 1.0, parts: Parts = WHOLE, told: Prepared | None = None) -> Reading:
        """Whether a note fits the picture. told: the picture that the language model is told of, where it is another one.

        PictureRefused for an empty or over-long note.
        """
        return self._read("notes", prepared, note, strength, parts, told or prepared)

    def outline(
        self, prepared: Prepared, phrase: str, *, strength: float = 1.0, parts: Parts = WHOLE, told: Prepared | None = None
    ) -> Reading:
        """Where the lesion is that the phrase means, as probabilities in the picture's own size; drawn from `prepared`, whatever is told.

        PictureRefused as in `judge`.
        """
        return self._read("outline", prepared, phrase, strength, parts, told or prepared)

    def config(self, task: str, parts: Parts = WHOLE) -> Config:
        """The settings with which a task is answered."""
        return self._acting(task, parts).config

    @torch.no_grad()
    def seconds(self, task: str, prepared: Prepared, text: str) -> float:
        """The middle one of nine passes over a request, head and all, without anything traced; a first one warms up."""
        net, (ids, mask) = self._net(task), self._encoded(task, text)
        taken = []
        for _ in range(TIMED + 1):
            started = time.perf_counter()
            self._pass(net, ids, mask, prepared, prepared, 1.0, None)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])

    def cost(self, text: str, task: str = "notes") -> dict[str, float]:
        """Tokens, numbers that learn and are frozen, and operations of a pass: infused, with patches before the text, and of the text alone."""
        net, sizes = self._net(task), self.decoder.model.config
        tokens = len(self.decoder.tokenizer.ids(request(task, text))) + 1
        whole = Sizes(sizes.hidden_size, sizes.intermediate_size, self.decoder.layers, self.decoder.heads)
        return {
            "tokens": tokens,
            "trained": sum(p.numel() for p in net.parameters()),
            "frozen": self.decoder.parameters + self.clip.parameters,
            "text": flops(whole, tokens),
            "infused": flops(whole, tokens, infused=len(net.config.layers), image=self.clip.embed_dim),
            "patches": flops(whole, tokens, visual=self.clip.patches),
        }

    def _encoded(self, task: str, text: str) -> tuple[Tensor, Tensor]:
        if not text.strip():
            raise PictureRefused("Write a note or a phrase first; there is none.")
        ids, mask = (part.to(self.decoder.device) for part in self.decoder.tokenizer.encode([request(task, text)]))
        if ids.shape[1] > MAX_WORDS:
            raise PictureRefused(f"The text has {ids.shape[1]} words with its request; {MAX_WORDS} can be read. Shorten it.")
        return ids, mask

    @torch.no_grad()
    def _read(self, task: str, prepared: Prepared, text: str, strength: float, parts: Parts, told: Prepared) -> Reading:
        net, tokenizer = self._acting(task, parts), self.decoder.tokenizer
        if not 0 <= strength <= 1.5:
            raise PictureRefused(f"The dial goes from 0 to 1.5, not to {strength}.")
        ids, mask = self._encoded(task, text)
        trace, still = Trace(), Trace()
        started = time.perf_counter()
        logits = self._pass(net, ids, mask, told, prepared, strength, trace)
        seconds = time.perf_counter() - started
        if strength == 0:
            still = trace
        else:
            self._pass(net, ids, mask, told, prepared, 0.0, still)
        states = self.decoder.model.model(ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        alone = self._headed(net, states[:, -1].float(), prepared)
        stacked = [_stack(part) for part in (trace.gate, trace.level, trace.cosine)]
        changes = {"keys": trace.key_change, "values": trace.value_change, "units": trace.ffn_change}
        return Reading(
            _shares(net, logits, prepared), _shares(net, alone, prepared),
            tuple(tokenizer.words(ids[0])), tuple(word for word in text.split() if _strange(tokenizer, word)), tuple(trace.layer),
            stacked[0], 1 / (1 + np.exp(-stacked[1])), stacked[2],
            {name: np.array([float(one[0]) for one in values]) * (strength if name == "units" else 1) for name, values in changes.items()},
            _attention(trace, ids.shape[1]), _attention(still, ids.shape[1]), seconds,
        )  # fmt: skip

    def _pass(self, net: MiT, ids: Tensor, mask: Tensor, told: Prepared, drawn: Prepared, strength: float, trace: Trace | None) -> Tensor:
        """Logits, from the embeddings on, so that every layer is traced; the states are those of the kept way."""
        hidden, patches = self.decoder.model.model.embed_tokens(ids), told.seen.patches if net.config.prepend else None
        z = net.read(hidden, mask, (told.seen.vector,), patches=patches, strength=strength, trace=trace, start=0)
        return self._headed(net, z, drawn)

    def _headed(self, net: MiT, z: Tensor, drawn: Prepared) -> Tensor:
        """The head on z (1, d); an outline is drawn from the layers of `drawn`."""
        return net.head(z, drawn.seen.layers) if isinstance(net.head, Outline) else net.head(z)

    def _acting(self, task: str, parts: Parts) -> MiT:
        """The trained network, or another one on the same weights in which some parts do nothing."""
        net = self._net(task)
        config = parts.of(net.config)
        if config == net.config or not net.config.layers:
            return net
        with torch.device("meta"):  # its own maps are never filled: the trained ones take their place
            acting = MiT(self.decoder, config, (self.clip.embed_dim,), net.head)
        acting.infusion.maps = net.infusion.maps
        return acting.eval()

    def _net(self, task: str) -> MiT:
        if task not in self.nets:
            raise PictureRefused(f"The network “{self.label}” was not trained for this; choose another.")
        return self.nets[task]


def _shares(net: MiT, logits: Tensor, drawn: Prepared) -> np.ndarray:
    """Probabilities (3,), or (H, W) at the size of the picture that an outline is drawn on."""
    if isinstance(net.head, Outline):
        return (
            F.interpolate(outline_probability(logits)[:, None], size=drawn.shape, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
        )
    return logits.softmax(-1)[0].cpu().numpy()


def _stack(parts: list[list[Tensor]]) -> np.ndarray:
    """(Λ, h) of the one modality."""
    return np.array([one[0].detach().reshape(-1, one[0].shape[-1])[0].cpu().numpy() for one in parts])


def _attention(trace: Trace, t: int) -> np.ndarray:
    return np.stack([one[0, :, -t:, -t:].cpu().numpy() for one in trace.attention])


def _strange(tokenizer, word: str) -> bool:
    unknown = tokenizer.tokenizer.token_to_id("<unk>")
    return unknown is not None and unknown in tokenizer.ids(word)


__all__ = ["VERDICTS", "WHOLE", "Parts", "PictureRefused", "Predictor", "Prepared", "Reading", "load_predictor"]
