"""What the screen asks of a trained network of either room. NumPy in and out.

    predictor = load_predictor(path, "full")
    prepared = predictor.prepare(picture)          # once a picture
    answer = predictor.answer(prepared, "brain MR: one small bright tumour on the left side")

Legend: K verdicts, R rungs, N prompts, gh × gw patches, W words of the note.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.spec import ClipRefused
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data.phantoms.notes import VERDICTS
from models.shared.prompt_interaction.config import Config
from models.shared.prompt_interaction.engine import Inputs, PromptInteraction, Trace
from models.shared.prompt_interaction.plan import ARMS, OWN
from models.shared.prompt_interaction.study import clip_of, network_of
from models.shared.prompt_interaction.training import seen


class NoteRefused(ValueError):
    """A picture, note or setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class HubSettings:
    """The hub at answering time; None: as it was trained."""

    tau: float | None = None
    beta: float | None = None
    uniform: bool = False
    until: int | None = None
    """Rungs from this one on let nothing through (a probe: no network was trained like this)."""

    def __post_init__(self) -> None:
        if (self.tau is not None and not 0.001 <= self.tau <= 100) or (self.beta is not None and not 0 <= self.beta <= 10):
            raise NoteRefused("The temperature lies between 0.001 and 100, the weight of what is taken between 0 and 10.")


TRAINED = HubSettings()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network can be asked about."""

    image: Tensor
    """(1, n_v, d_v): up to the first rung."""
    seen_box: tuple[float, float, float, float]
    """top, left, bottom, right of what the network sees, in pixels of the picture."""
    shape: tuple[int, int]
    """(H, W) of the picture."""


@dataclass(frozen=True, eq=False)
class Rung:
    """One layer of both towers with prompts in it, and the hub behind it. Shares are in 0…1."""

    layers: tuple[int, int]
    """Numbers of the vision and the text layer, from 1."""
    text_from_image: np.ndarray
    """S_t (N, N): what each note prompt takes from each picture prompt; rows sum to 1."""
    image_from_text: np.ndarray
    """S_v (N, N)."""
    patches: np.ndarray
    """(N, gh, gw): share of each picture prompt's attention on each patch; what is missing from 1 lies on the class token and on other prompts."""
    words: np.ndarray
    """(N, W): the same for note prompts and words; what is missing lies on the note's start and end and on other prompts."""
    lengths: dict[str, np.ndarray]
    """(N,) each: lengths of prompts as the layer left them ("image", "text") and as they go on ("image_next", "text_next")."""

    @property
    def evenness(self) -> tuple[float, float]:
        """How flat S_t and S_v are: mean entropy of their rows over its greatest value; 1 when each prompt takes from all alike."""
        return _evenness(self.text_from_image), _evenness(self.image_from_text)


@dataclass(frozen=True, eq=False)
class Answer:
    """One note beside one picture."""

    note: str
    words: tuple[str, ...]
    verdicts: tuple[str, ...]
    probability: np.ndarray
    """(K,)."""
    rungs: tuple[Rung, ...]
    """Empty for a network without prompts."""

    @property
    def verdict(self) -> str:
        """The likeliest."""
        return self.verdicts[int(self.probability.argmax())]


def load_predictor(path: Path, arm: str = OWN, *, device: str = "cpu") -> Predictor:
    """The trained network of an arm, kept for the next caller. FileNotFoundError, CheckpointRefused or NoteRefused with a sentence."""
    return _load(Path(path), read_card(Path(path)).sha256, arm, device)


@lru_cache(maxsize=32)
def _load(path: Path, _sha256: str, arm: str, device: str) -> Predictor:
    tensors, card = load(path)
    if arm not in card.extra["arms"]:
        raise NoteRefused(f"The checkpoint holds no network {arm!r}; it holds {', '.join(card.extra['arms'])}.")
    own = {name.removeprefix(f"{arm}."): value for name, value in tensors.items() if name.startswith(f"{arm}.")}
    try:
        net = network_of(clip_of(device), Config(**card.extra["arms"][arm]["network"]), own)
    except (ValueError, KeyError, TypeError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault
    return Predictor(net, arm, card.sha256, card.extra.get("verdicts", VERDICTS))


class Predictor:
    """One trained network at work; safe to use from several threads."""

    def __init__(self, net: PromptInteraction, arm: str = OWN, sha256: str = "", verdicts: Sequence[str] = VERDICTS) -> None:
        self.net, self.arm, self.sha256, self.verdicts = net.eval(), arm, sha256, tuple(verdicts)
        self.label = ARMS[arm].label

    @property
    def clip(self) -> Clip:
        """The frozen towers."""
        return self.net.clip

    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), uint8 or floats in 0…1. NoteRefused for pixels that cannot be used."""
        try:
            x = self.clip.preprocess(np.asarray(picture))
        except ClipRefused as fault:
            raise NoteRefused(str(fault)) from fault
        height, width = np.asarray(picture).shape[:2]
        return Prepared(self.net.begin_image(x), self.clip.seen_box(height, width), (height, width))

    def words(self, note: str) -> tuple[str, ...]:
        """The note as words with their punctuation. NoteRefused for a note without words or one that is too long."""
        found = tuple(note.split())
        if not any(letter.isalnum() for letter in note):
            raise NoteRefused("Write a note about the picture, or choose one to try.")
        most, count = self.clip.context_length, self.clip.count_tokens(note)
        if count > most:
            raise NoteRefused(f"The note is too long: it makes {count} word pieces, and the network reads at most {most}. Shorten it.")
        return found

    def answer(self, prepared: Prepared, note: str, hub: HubSettings = TRAINED) -> Answer:
        """One note. NoteRefused with a sentence."""
        return self.answers(prepared, [note], hub)[0]

    @torch.no_grad()
    def answers(self, prepared: Prepared, notes: Sequence[str], hub: HubSettings = TRAINED) -> list[Answer]:
        """Several notes beside one picture, in one pass; each answer is what the note alone would get. NoteRefused with a sentence."""
        words = [self.words(note) for note in notes]
        trace = Trace()
        logits = self.net(self._inputs(prepared, notes), trace=trace, tau=hub.tau, beta=hub.beta, uniform=hub.uniform, until=hub.until)
        probability = logits.softmax(-1).cpu().numpy()
        kept = {name: [value.cpu() for value in values] for name, values in vars(trace).items()}
        return [
            Answer(note, one, self.verdicts, probability[row], tuple(self._rung(kept, rung, row, one) for rung in range(len(trace.words))))
            for row, (note, one) in enumerate(zip(notes, words, strict=True))
        ]

    @torch.no_grad()
    def by_depth(self, prepared: Prepared, note: str, hub: HubSettings = TRAINED) -> np.ndarray:
        """(R, K): probabilities when the hub lets nothing through, after the first rung alone, … up to the last but one, which is the whole network, as what the
        last rung says is not read. A probe. Without prompts: one row."""
        self.words(note)
        inputs = self._inputs(prepared, [note])
        rungs = len(self.net.pairs) if self.net.config.prompts else 1
        rows = [self.net(inputs, tau=hub.tau, beta=hub.beta, uniform=hub.uniform, until=until).softmax(-1) for until in range(rungs)]
        return torch.cat(rows).cpu().numpy()

    def without_each_word(self, prepared: Prepared, note: str, hub: HubSettings = TRAINED) -> list[Answer]:
        """The note with each word left out in turn; of a note of one word there is none to leave out."""
        words = self.words(note)
        shorter = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
        readable = [text for text in shorter if any(letter.isalnum() for letter in text)]
        return self.answers(prepared, readable, hub) if len(readable) == len(words) else []

    # ------------------------------------------------------------------ pieces
    def _inputs(self, prepared: Prepared, notes: Sequence[str]) -> Inputs:
        text, end = self.net.begin_text(self.clip.tokenize(list(notes)))
        return seen(Inputs(prepared.image.expand(len(notes), -1, -1), text, end), self.arm)

    def _rung(self, kept: dict[str, list[Tensor]], rung: int, row: int, words: tuple[str, ...]) -> Rung:
        rows, columns = self.clip.grid
        looked = kept["patches"][rung][row][:, 1:]
        return Rung(
            tuple(layer + 1 for layer in self.net.pairs[rung]),
            kept["text_from_image"][rung][row].numpy(),
            kept["image_from_text"][rung][row].numpy(),
            looked.reshape(-1, rows, columns).numpy(),
            self._by_word(kept["words"][rung][row], words),
            {
                name: kept[key][rung][row].norm(dim=-1).numpy()
                for name, key in (
                    ("image", "image_prompts"), ("text", "text_prompts"), ("image_next", "image_next"), ("text_next", "text_next"),
                )
            },
        )  # fmt: skip

    def _by_word(self, tokens: Tensor, words: tuple[str, ...]) -> np.ndarray:
        """Attention on word pieces (N, T), the note's start first, added up by word (N, W)."""
        found, at = np.zeros((len(tokens), len(words)), np.float32), 1
        for place, word in enumerate(words):
            pieces = len(self.clip.tokenizer.encode(word))
            found[:, place] = tokens[:, at : at + pieces].sum(-1).numpy()
            at += pieces
        return found


def moved(before: Answer, after: Answer) -> list[float]:
    """How far S_t and S_v of each rung differ between two answers: half the summed difference of their rows, meaned; 0 the same, 1 wholly other."""
    return [
        float(
            np.mean([np.abs(a.text_from_image - b.text_from_image).sum(-1) / 2, np.abs(a.image_from_text - b.image_from_text).sum(-1) / 2])
        )
        for a, b in zip(before.rungs, after.rungs, strict=True)
    ]


def _evenness(s: np.ndarray) -> float:
    n = s.shape[-1]
    if n < 2:
        return 1.0
    return float(-(s * np.log(np.clip(s, 1e-12, None))).sum(-1).mean() / math.log(n))
