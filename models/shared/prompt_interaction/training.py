"""One run: AdamW with a warm-up and a cosine over batches of pairs; the towers stay frozen, the last weights are kept.

What lies before the first rung is worked out once for all pictures of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.clip.interface import Clip
from models.shared.prompt_interaction.data import Pairs
from models.shared.prompt_interaction.engine import Inputs, PromptInteraction
from models.shared.prompt_interaction.plan import ARMS, Plan

WARM, TOLD_EVERY = 0.05, 20


def build(clip: Clip, plan: Plan, arm: str, seed: int) -> PromptInteraction:
    """An arm's untrained network; the same seed gives the same numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PromptInteraction(clip, plan.config(arm))


def started(net: PromptInteraction, x: Tensor, *, batch: int = 64) -> Tensor:
    """float16 (N, n_v, d_v): pictures up to the first rung."""
    device = net.clip.device
    return torch.cat([net.begin_image(part.to(device).float()).half() for part in x.split(batch)])


def fit(net: PromptInteraction, train: Pairs, plan: Plan, arm: str, *, seed: int) -> Iterator[tuple[int, float]]:
    """Train in place, where the towers are; yields (step, mean loss since the last) every 20 steps and at the end."""
    device = net.clip.device
    net.to(device).train()
    image, tokens, verdict = started(net, train.x), train.tokens.to(device), train.verdict.to(device)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr)
    warm = max(1, round(WARM * plan.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.5 * (1 + np.cos(np.pi * step / plan.steps)))
    )
    order = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(train), (plan.steps, plan.batch), generator=order).to(device)
    places = torch.randint(tokens.shape[1], (plan.steps, plan.batch), generator=order).to(device)
    told: list[Tensor] = []
    for step in range(plan.steps):
        row, place = rows[step], places[step]
        text, end = net.begin_text(tokens[row, place])
        logits = net(seen(Inputs(image[row].float(), text, end), arm))
        loss = F.cross_entropy(logits, verdict[row, place])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        told.append(loss.detach())
        if (step + 1) % TOLD_EVERY == 0 or step + 1 == plan.steps:
            yield step + 1, float(torch.stack(told).mean())
            told = []


def seen(inputs: Inputs, arm: str) -> Inputs:
    """What an arm is given: a blind one gets nothing but zeros of what it must not know; the note's first token stays, so that there is something to read."""
    blind = ARMS[arm].blind
    if blind == "image":
        return replace(inputs, image=torch.zeros_like(inputs.image))
    if blind == "note":
        return replace(inputs, text=torch.zeros_like(inputs.text[:, :1]), end=torch.zeros_like(inputs.end))
    return inputs


@torch.no_grad()
def answers(net: PromptInteraction, test: Pairs, arm: str, *, shuffled: bool = False, batch: int = 64) -> Tensor:
    """float32 (N, M, K): probabilities for every note of every picture; shuffled: each note beside the next picture."""
    net.eval()
    device = net.clip.device
    image = started(net, test.x)
    if shuffled:
        image = image.roll(1, dims=0)
    found = []
    for place in range(test.tokens.shape[1]):
        parts = []
        for rows in torch.arange(len(test)).split(batch):
            text, end = net.begin_text(test.tokens[rows, place].to(device))
            parts.append(net(seen(Inputs(image[rows].float(), text, end), arm)).softmax(-1).cpu())
        found.append(torch.cat(parts))
    return torch.stack(found, dim=1)
