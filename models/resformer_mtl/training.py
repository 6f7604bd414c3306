"""One run: a network, its share of the two losses, its batches (spec §3). All arms of a task and seed see the same pictures in the same order.

AdamW with the paper's polynomial decay. No picture is looked at to choose a step: the last weights are kept (the published scripts keep the best on
the test folder). Random numbers of a step follow from seed and step, so that neither other runs nor a stop change them.

Legend: N pictures, H side, K structures, L classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.resformer_mtl.config import Config
from models.resformer_mtl.losses import joint_loss
from models.resformer_mtl.network import ResFormerMTL
from models.resformer_mtl.plan import Arm, Task, Training
from models.resformer_mtl.study_data import Cases, augment, derived_labels
from models.resformer_mtl.unet import PlainUNet

CLAMP = 1e-7
"""Of the focal loss here; the paper's 1e-3 would stop a rare structure's gradient for good."""
DECAY = 0.9
Network = ResFormerMTL | PlainUNet


@dataclass(frozen=True)
class Step:
    """What one step did."""

    step: int
    """From 1."""
    steps: int
    loss: float
    seg: float | None
    cls: float | None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of some pictures."""

    masks: Tensor
    """uint8 (N, H, H): the likeliest structure, 0 for none."""
    scores: Tensor
    """float32 (N, L): sigmoid of the class logits."""


def make(config: Config, kind: str) -> Network:
    """An untrained network: "resformer" or "unet"."""
    return PlainUNet(config) if kind == "unet" else ResFormerMTL(config)


def build(task: Task, arm: Arm, seed: int) -> Network:
    """An arm's untrained network; the same seed gives the same numbers, whatever else is going on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(task.config(arm), arm.network)


class Rows:
    """Row numbers for step after step: `masked_share` of each batch from pictures with a mask, the rest from all."""

    def __init__(self, has_mask: Tensor, training: Training, seed: int) -> None:
        drawn = has_mask.nonzero()[:, 0].numpy()
        everything = np.arange(len(has_mask))
        masked = round(training.batch * training.masked_share) if 0 < len(drawn) < len(everything) else 0
        self._parts = [_Deck(drawn, masked, seed, 1), _Deck(everything, training.batch - masked, seed, 2)]

    def draw(self) -> Tensor:
        """int64 (batch,)."""
        return torch.from_numpy(np.concatenate([part.draw() for part in self._parts]))


class _Deck:
    """Rows in shuffled order, shuffled anew when they run out."""

    def __init__(self, rows: np.ndarray, size: int, seed: int, key: int) -> None:
        self._rows, self._size, self._random = rows, size, np.random.default_rng([seed, key])
        self._waiting = np.empty(0, dtype=np.int64)

    def draw(self) -> np.ndarray:
        while len(self._waiting) < self._size:
            self._waiting = np.concatenate([self._waiting, self._random.permutation(self._rows)])
        drawn, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        return drawn


def fit(
    net: nn.Module,
    train: Cases,
    training: Training,
    *,
    alpha: float,
    seg_weight: float = 1.0,
    derived: bool = False,
    class_weights: Tensor | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[Step]:
    """Train in place, one step for each item. `derived`: labels are read off the turned mask, where a picture has one."""
    net.to(device).train()
    weights = None if class_weights is None else class_weights.to(device)
    rows, generator = Rows(train.has_mask, training, seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / training.steps) ** DECAY)
    for step in range(1, training.steps + 1):
        batch = train.rows(rows.draw())
        if not alpha:  # pictures without a mask would teach nothing
            batch = batch.rows(batch.has_mask) if batch.has_mask.any() else batch
        x, masks = augment(batch.x, batch.masks, generator, mirror=training.mirror, degrees=training.degrees)
        labels = batch.labels
        if derived:
            labels = torch.where(batch.has_mask[:, None], derived_labels(masks, labels.shape[1]), labels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed << 20) + step)
            out = net(x.to(device), segment=seg_weight > 0, classify=alpha > 0)
        found = joint_loss(
            out.seg,
            out.cls,
            masks.long().to(device),
            labels.to(device),
            alpha=alpha,
            seg_weight=seg_weight,
            has_mask=None if batch.has_mask.all() else batch.has_mask.to(device),
            weight=weights,
            clamp=CLAMP,
        )
        optimizer.zero_grad(set_to_none=True)
        if found.total.requires_grad:
            found.total.backward()
            optimizer.step()
        schedule.step()
        yield Step(step, training.steps, found.total.item(), _item(found.seg), _item(found.cls))


def _item(value: Tensor | None) -> float | None:
    return None if value is None else value.item()


@torch.no_grad()
def answers(net: nn.Module, x: Tensor, *, batch: int = 25) -> Answers:
    """The trained network's answers on pictures (N, C, H, H)."""
    net.eval()
    device = next(net.parameters()).device
    masks, scores = [], []
    for part in x.split(batch):
        out = net(part.to(device))
        masks.append(most_likely(out.seg).to("cpu", torch.uint8))
        scores.append(out.cls.sigmoid().float().cpu())
    return Answers(torch.cat(masks), torch.cat(scores))


def most_likely(seg: Tensor) -> Tensor:
    """Logits (B, K, H, H) to structure numbers (B, H, H): above one half for one structure, the highest for several."""
    return (seg[:, 0] > 0).long() if seg.shape[1] == 1 else seg.argmax(dim=1)
