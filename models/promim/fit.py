"""Training one arm on features already at hand: both towers are frozen, so pictures are encoded once and only prompts are computed at each step.

N training pictures, V masked views of each, B pictures in a batch, C classes, E joint size.

Stochastic gradient descent with momentum 0.9 and weight decay 5e-4, one warm-up epoch at 1e-5, then a cosine by epoch; these are CoCoOp's
(public code of CoOp and its toolbox). ProMIM's own schedule could not be read, so it takes the same (inferred). Known deviation: the batch is larger
than CoCoOp's 1, and pictures are not augmented, as their features are computed once; each epoch takes another masked view.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.promim.arms import ARMS
from models.promim.losses import objective
from models.promim.masks import Sampling, sample_keep
from models.promim.network import ClassTexts, PromptLearner, classify, new_learner
from models.shared.data import Split
from models.shared.training import Batches, Event, Fit

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
WARMUP_EPOCHS, WARMUP_LR = 1, 1e-5
_ENCODE_BATCH = 64


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    epochs: int = 10
    batch: int = 8
    lr: float = 2e-3

    def rate(self, epoch: int) -> float:
        """Learning rate of epoch 0, 1, …"""
        if epoch < WARMUP_EPOCHS and self.epochs > WARMUP_EPOCHS:
            return WARMUP_LR
        passed = max(epoch - WARMUP_EPOCHS, 0)
        return self.lr * 0.5 * (1 + math.cos(math.pi * passed / self.epochs))


@dataclass(frozen=True, eq=False)
class Shots:
    """Training pictures as features. A conditional arm takes view number epoch mod V of each picture; CoCoOp's only view is x̂ itself."""

    image: Tensor
    """x̂ (N, E), unit length."""
    labels: Tensor
    """(N,) int64."""
    views: Tensor
    """x̂_m (N, V, E), unit length."""


@torch.no_grad()
def encode(clip: Clip, pixels: Tensor, keep: Tensor | None = None) -> Tensor:
    """Features (N, E), unit length, of pictures (N, 3, S, S), of all patches or of those kept (N, k); in pieces, to spare memory."""
    parts = [
        clip.image_features(pixels[i : i + _ENCODE_BATCH], None if keep is None else keep[i : i + _ENCODE_BATCH], normalize=True)
        for i in range(0, len(pixels), _ENCODE_BATCH)
    ]
    return torch.cat(parts)


def encode_views(clip: Clip, pixels: Tensor, ratio: float, count: int, *, sampling: Sampling = "random", seed: int = 0) -> Tensor:
    """`count` masked views of each picture: x̂_m (N, count, E), each under a mask of its own."""
    generator = torch.Generator().manual_seed(seed)
    views = []
    for _ in range(count):
        keep = sample_keep(len(pixels), clip.grid, ratio, mode=sampling, generator=generator)
        views.append(encode(clip, pixels, keep.to(pixels.device)))
    return torch.stack(views, dim=1)  # N count E


class _Trained(nn.Module):
    """The learner as a module from packed features to (logits, ŵ); only the learner's numbers are its parameters."""

    def __init__(self, clip: Clip, learner: PromptLearner, texts: ClassTexts) -> None:
        super().__init__()
        self.learner = learner
        self.epoch = 0
        self._frozen = (clip, texts)  # in a tuple, so that the towers do not become parts of this module

    def forward(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """packed (B, 1 + V, E): x̂, then the views."""
        clip, texts = self._frozen
        views = packed.shape[1] - 1
        output = classify(clip, self.learner, texts, packed[:, 0], packed[:, 1 + self.epoch % views] if views else None)
        return output.logits, output.text


class Training:
    """One training; iterate to advance a step at a time. `learner` is what is trained, usable at any moment."""

    def __init__(
        self,
        clip: Clip,
        texts: ClassTexts,
        shots: Shots,
        *,
        arm: str,
        weight: float = 0.0,
        seed: int = 0,
        schedule: Schedule | None = None,
        context: str = "a photo of a",
    ) -> None:
        """`weight` is λ; `seed` draws h_θ and the order of pictures. Raises ValueError for CLIP itself, which has nothing to train."""
        flags = ARMS[arm]
        if not flags.learned:
            raise ValueError(f"{flags.title} has nothing to train; choose one of the other arms.")
        self.schedule = schedule or Schedule()
        self.learner = new_learner(clip, conditional=flags.conditional, context=context, seed=seed)
        self._model = _Trained(clip, self.learner, texts)
        parts = [shots.image[:, None], shots.views] if flags.conditional else [shots.image[:, None]]
        data = Split(torch.cat(parts, dim=1), shots.labels)
        batches = Batches(len(data), self.schedule.batch, seed)
        self._per_epoch = batches.steps_per_epoch
        optimizer = torch.optim.SGD(self.learner.parameters(), lr=self.schedule.lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.schedule.rate(step // self._per_epoch) / self.schedule.lr)

        def loss(output: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
            return objective(output[0], y, output[1], texts.hand, weight=weight)

        self.steps = self.schedule.epochs * self._per_epoch
        self._fit = Fit(self._model, optimizer, loss, data, batches, steps=self.steps, device=clip.device, scheduler=rates)

    def __iter__(self) -> Iterator[Event]:
        """The steps; stopping early leaves the learner as it is."""
        for event in self._fit:
            yield event
            self._model.epoch = event.step // self._per_epoch

    def run(self) -> PromptLearner:
        """All steps at once; the learner, frozen."""
        for _ in self:
            pass
        return self.learner.requires_grad_(False)


@torch.no_grad()
def answers(
    clip: Clip, learner: PromptLearner | None, texts: ClassTexts, image: Tensor, condition: Tensor | None, *, batch: int = 16
) -> Tensor:
    """Logits (N, C) of many pictures: x̂ (N, E), and for a conditional learner what its meta-net sees (N, E)."""
    if learner is None or learner.meta is None:
        return classify(clip, learner, texts, image, None).logits
    if condition is None:
        raise ValueError("A conditional learner needs what its meta-net sees, one feature for each picture.")
    parts = [classify(clip, learner, texts, image[i : i + batch], condition[i : i + batch]).logits for i in range(0, len(image), batch)]
    return torch.cat(parts)
