"""One run: warm-up on the labels as given, then an epoch of training and a pass of filter and cleansing in turn (spec §3).

Adam. Everything lies on the device; random numbers of an epoch follow from seed and epoch, drawn on the processor, so that arms differ in nothing but
their labels. B is the epoch with the best Dice on true validation labels, L the last epoch ("interpreted as" by the spec).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.self_cleansing.cleansing import Assessment, Cleanser
from models.self_cleansing.losses import training_loss
from models.self_cleansing.network import Teacher, UNet, probabilities
from models.self_cleansing.plan import Arm, Cleansing, Training
from models.self_cleansing.study_data import Cases, augment, moves
from models.shared.segmentation_metrics import dice


@dataclass(frozen=True, eq=False)
class Epoch:
    """What one epoch did."""

    epoch: int
    """From 1."""
    epochs: int
    loss: float
    """Mean over its steps."""
    validation: float
    """Dice on true validation labels; NaN without any."""
    assessment: Assessment | None
    """The pass after it, if there was one."""


class Run:
    """A network in training. `epochs()` does the work; afterwards `student` is L, `best` B's weights."""

    def __init__(
        self,
        net: UNet,
        arm: Arm,
        training: Training,
        x: Tensor,
        given: Tensor,
        validation: Cases | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
        watch: bool = False,
    ) -> None:
        """x (N, channels, H, H) and labels as given (N, H, H). `watch`: arms without cleansing are assessed, too, for their curves."""
        self.student, self.arm, self.training, self.seed, self.watch = net.to(device).train(), arm, training, seed, watch
        self.x, self.given = x.to(device), given.to(device)
        self.labels = self.given
        self.validation = validation.to(device) if validation is not None and len(validation) else None
        self.device = device
        self.teacher = Teacher(self.student, training.decay) if arm.cleansing and arm.ema else None
        self.cleanser = Cleanser(arm.cleansing or Cleansing(), net.classes, seed=seed)
        self.optimizer = torch.optim.Adam(net.parameters(), lr=training.lr, fused=True)
        self.best: dict[str, Tensor] = {}
        self.best_epoch, self.best_dice = 0, -1.0
        self.done = 0

    @property
    def assessor(self) -> UNet:
        """The network whose losses are looked at."""
        return self.student if self.teacher is None else self.teacher.net

    def epochs(self, *, each_step: bool = False) -> Iterator[Epoch | None]:
        """Trains and yields every epoch; None after every step when asked for, so that a caller can stop at once."""
        for epoch in range(1, self.training.epochs + 1):
            losses = []
            for loss in self._steps(epoch):
                losses.append(loss)
                if each_step:
                    yield None
            self.done = epoch
            assessment = self._assess(epoch)
            yield Epoch(epoch, self.training.epochs, torch.stack(losses).mean().item(), self._validate(epoch), assessment)

    def _steps(self, epoch: int) -> Iterator[Tensor]:
        n, generator = len(self.x), torch.Generator().manual_seed((self.seed << 20) + epoch)
        batch = min(self.training.batch, n)
        order, move = torch.randperm(n, generator=generator).to(self.device), moves(n, generator).to(self.device)
        for start in range(0, n - batch + 1, batch):
            rows = order[start : start + batch]
            x, labels = self.x[rows].contiguous(memory_format=torch.channels_last), self.labels[rows]
            if self.arm.augment:
                x, labels = augment(
                    x,
                    labels,
                    move[start : start + batch],
                    flips=self.training.flips,
                    degrees=self.training.degrees,
                    gamma=self.training.gamma,
                )
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.training.half):
                logits = self.student(x).logits
            loss = training_loss(logits.float(), labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            if self.teacher is not None:
                self.teacher.follow()
            yield loss.detach()

    def _assess(self, epoch: int) -> Assessment | None:
        config, since = self.arm.cleansing, epoch - self.training.warmup
        if config is None:
            return self.cleanser.assess(self.student, self.x, self.given) if self.watch else None
        due = since >= 0 and since % config.every == 0
        if not (due or self.watch):
            return None
        assessment = self.cleanser.assess(self.assessor, self.x, self.given, look_only=not due)
        if due:
            self.labels = assessment.cleansed.labels
        return assessment

    def _validate(self, epoch: int) -> float:
        if self.validation is None:
            return float("nan")
        found = mean_dice(answers(self.student, self.validation.x), self.validation.masks, self.student.classes)
        if found > self.best_dice:
            self.best_dice, self.best_epoch = found, epoch
            self.best = copy.deepcopy(self.student.state_dict())
        return found


def answers(net: UNet, x: Tensor) -> Tensor:
    """uint8 (N, H, H): the likeliest class of pictures (N, channels, H, H)."""
    return probabilities(net, x).argmax(dim=1).to(torch.uint8)


def mean_dice(predicted: Tensor, truth: Tensor, classes: int) -> float:
    """Dice of class numbers (N, H, H): mean over structures of the mean over pictures that truly hold it; NaN when none does."""
    means = []
    for number in range(1, classes):
        here = (truth == number).flatten(1).any(dim=1)
        if here.any():
            means.append(float(dice((predicted == number)[here], (truth == number)[here]).mean()))
    return float(np.mean(means)) if means else float("nan")
