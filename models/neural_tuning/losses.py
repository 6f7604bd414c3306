"""L = a1 · L_txt + a2 · L_gen + a3 · L_seg with (1, 10, 1) (spec §4): the answer's words of all tasks, the picture's feature, the outlines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.neural_tuning.features import Seen
from models.neural_tuning.heads import outline_loss
from models.neural_tuning.network import AS_TRAINED, Dials, NeuralTuning
from models.neural_tuning.sequence import IGNORED, Batch

WEIGHTS = (1.0, 10.0, 1.0)


@dataclass(frozen=True)
class Losses:
    """Sums and how many each is over, so that two batches make one mean."""

    text: Tensor
    words: int
    image: Tensor | None = None
    outline: Tensor | None = None

    def total(self, weights: tuple[float, float, float] = WEIGHTS) -> Tensor:
        """The weighted sum of the means."""
        found = weights[0] * self.text / max(self.words, 1)
        for weight, part in zip(weights[1:], (self.image, self.outline), strict=True):
            found = found if part is None else found + weight * part
        return found

    def __add__(self, other: Losses) -> Losses:
        return Losses(
            self.text + other.text, self.words + other.words, self.image if other.image is None else other.image,
            self.outline if other.outline is None else other.outline,
        )  # fmt: skip


def shifted(batch: Batch) -> tuple[Tensor, Tensor]:
    """(places of states, labels): bool (B, T − 1) where something is to be predicted, and int64 (B, T − 1) what."""
    labels = batch.labels[:, 1:]
    return labels != IGNORED, labels


def losses(net: NeuralTuning, batch: Batch, seen: Seen, masks: Tensor, dials: Dials = AS_TRAINED) -> Losses:
    """Of a batch whose row i speaks of picture i of `seen`; masks: bool (B, lesions, side, side)."""
    states = net.states(batch, seen, dials)
    where, labels = shifted(batch)
    text = F.cross_entropy(net.logits(states[:, :-1][where]).float(), labels[where], reduction="sum")
    image = outline = None
    if len(batch.pictures):
        row, place = batch.pictures.unbind(1)
        image = F.mse_loss(net.imager(states[row, place]), seen.feature[row])
    if len(batch.objects):
        row, place, lesion = batch.objects.unbind(1)
        outline = outline_loss(drawn(net, states, batch.objects, seen), masks[row, lesion])
    return Losses(text, int(where.sum()), image, outline)


def drawn(net: NeuralTuning, states: Tensor, objects: Tensor, seen: Seen) -> Tensor:
    """Logits (R, 2, side, side) of the outlines read at `objects` (R, ≥ 2: row, place); a picture is repeated for each of its objects (spec §3.8)."""
    row, place = objects[:, 0], objects[:, 1]
    return net.outline(states[row, place], tuple(one[row] for one in seen.layers))


def on(batch: Batch, device: torch.device) -> Batch:
    """The batch elsewhere."""
    moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in vars(batch).items()}
    return Batch(**moved)
