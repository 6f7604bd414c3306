"""One run: AdamW with a cosine over batches of pictures (spec §10). All arms of a task and seed see the same pictures in the same order; the last weights
are kept and no picture is looked at to choose a step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.hsvlt import losses
from models.hsvlt.config import Config
from models.hsvlt.network import HSVLT
from models.hsvlt.plan import Arm, Task
from models.hsvlt.study_data import Cases

WARM, TOLD_EVERY = 0.05, 50
"""Share of the steps in which the rate rises."""


def build(config: Config, seed: int) -> HSVLT:
    """An untrained network; the same seed gives the same numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HSVLT(config)


def fit(net: HSVLT, train: Cases, vectors: Tensor, task: Task, arm: Arm, *, seed: int, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train in place; yields (step, mean loss since the last) every 50 steps and at the end."""
    net.to(device, memory_format=torch.channels_last).train()
    train, vectors = train.to(device), vectors.to(device)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": task.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=task.lr, fused=True)
    warm = max(1, round(WARM * task.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.5 * (1 + np.cos(np.pi * step / task.steps)))
    )
    order = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(train), (task.steps, task.batch), generator=order).to(device)
    random = torch.Generator(device=device).manual_seed(seed + 1)
    loss_of = losses.bce if arm.loss == "bce" else lambda z, y: losses.asymmetric(z, y) / y.numel()
    told: list[Tensor] = []
    for step in range(task.steps):
        x = changed(train.x[rows[step]], random)
        loss = loss_of(net(x, vectors).logits, train.y[rows[step]].float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        told.append(loss.detach())
        if (step + 1) % TOLD_EVERY == 0 or step + 1 == task.steps:
            yield step + 1, float(torch.stack(told).mean())
            told = []


def changed(x: Tensor, random: torch.Generator) -> Tensor:
    """uint8 (B, 1, S, S) to floats in about 0…1, mirrored at random, with other brightness, contrast and a little noise."""
    device = x.device
    x = x.float() / 255
    flip = torch.rand(len(x), generator=random, device=device) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    gain, shift = (torch.rand(2, len(x), 1, 1, 1, generator=random, device=device) - 0.5).unbind()
    x = (x - 0.5) * (1 + 0.3 * gain) + 0.5 + 0.1 * shift
    return x + 0.01 * torch.randn(x.shape, generator=random, device=device)


@torch.no_grad()
def answers(net: HSVLT, x: Tensor, vectors: Tensor, *, batch: int = 100) -> Tensor:
    """float32 (N, K): probabilities of pictures uint8 (N, 1, S, S)."""
    net.eval()
    device = next(net.parameters()).device
    vectors = vectors.to(device)
    return torch.cat([net(part.to(device).float() / 255, vectors).logits.sigmoid().cpu() for part in x.split(batch)])
