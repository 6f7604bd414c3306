"""One run: AdamW with polynomial decay over batches of slices and phrases (spec §3). All arms of a seed see the same slices and phrases in the same order.

A slice is mirrored only together with its side words; otherwise its brightness, contrast and noise change. The last weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.lsms.losses import total_loss
from models.lsms.network import LSMS
from models.lsms.plan import Arm, Plan
from models.lsms.study_data import Pairs

DECAY, TOLD_EVERY = 0.9, 50


def build(arm: Arm, seed: int) -> LSMS:
    """An arm's untrained network; the same seed gives the same numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LSMS(arm.config())


def fit(
    net: nn.Module, train: Pairs, plan: Plan, *, contrast: float, emptiness: float, seed: int, device: str | torch.device = "cpu"
) -> Iterator[tuple[int, float]]:
    """Train in place; yields (step, mean loss since the last) every 50 steps and at the end."""
    # channels last: the same numbers in another order of memory, a tenth faster on a processor
    net.to(device, memory_format=torch.channels_last).train()
    train = train.to(device)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / plan.steps) ** DECAY)
    order = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(train), (plan.steps, plan.batch), generator=order).to(device)
    places = torch.randint(train.tokens.shape[1], (plan.steps, plan.batch), generator=order).to(device)
    random = torch.Generator(device=device).manual_seed(seed + 1)
    losses: list[Tensor] = []
    for step in range(plan.steps):
        x, tokens, target = batch(train, rows[step], places[step], plan, random)
        loss = total_loss(net(x, tokens), target, contrast=contrast, emptiness=emptiness * grown((step + 1) / plan.steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if (step + 1) % TOLD_EVERY == 0 or step + 1 == plan.steps:
            yield step + 1, float(torch.stack(losses).mean())
            losses = []


def grown(passed: float) -> float:
    """How much of μ counts when a share `passed` of the training is done: first a network has to find lesions at all."""
    return min(1.0, max(0.0, 2.5 * passed - 0.25))


def batch(train: Pairs, rows: Tensor, places: Tensor, plan: Plan, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (B, 1, S, S), word numbers (B, T) and targets (B, S, S), mirrored and recoloured at random."""
    x, target, device = train.x[rows], train.targets(rows, places), rows.device
    flip = torch.rand(len(rows), generator=random, device=device) < plan.flip
    tokens = torch.where(flip[:, None], train.mirrored[rows, places], train.tokens[rows, places])
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    target = torch.where(flip[:, None, None], target.flip(-1), target)
    gain, shift = (torch.rand(2, len(rows), 1, 1, 1, generator=random, device=device) - 0.5).unbind()
    x = (x - 0.5) * (1 + 0.3 * gain) + 0.5 + 0.12 * shift
    return x + plan.noise * torch.randn(x.shape, generator=random, device=device), tokens, target


@dataclass(frozen=True, eq=False)
class Said:
    """A network's answers to every phrase of every slice, N and P of them."""

    outlines: Tensor
    """bool (N, P, S, S)."""
    highest: Tensor
    """float32 (N, P): the highest probability of the picture."""


@torch.no_grad()
def answers(net: nn.Module, test: Pairs, *, tokens: Tensor | None = None, x: Tensor | None = None, threshold: float = 0.5) -> Said:
    """Ask every phrase of every slice, or `tokens` (N, P, T) and pictures `x` (N, 1, S, S) in their place.

    An outline whose highest probability is below one half is empty (spec §5.8), whatever the threshold.
    """
    net.eval()
    device = next(net.parameters()).device
    tokens, x = test.tokens if tokens is None else tokens, test.x if x is None else x
    outlines, highest = [], []
    for place in range(tokens.shape[1]):
        parts = [
            net(x[rows].to(device), tokens[rows, place].to(device)).logits.sigmoid()[:, 0].cpu() for rows in torch.arange(len(x)).split(50)
        ]
        p = torch.cat(parts)
        top = p.amax((1, 2))
        outlines.append((p > threshold) & (top >= 0.5)[:, None, None])
        highest.append(top)
    return Said(torch.stack(outlines, dim=1), torch.stack(highest, dim=1))
