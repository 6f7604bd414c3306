"""One run: Adam with value clipping and a rate that falls in steps (spec §4). Tower and language model stay frozen; the last weights are kept.

What the tower sees, and what the language model makes of a text below the first infused layer, is worked out once for all.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from models.mit.config import Config
from models.mit.features import Seen
from models.mit.heads import Outline, Verdict, outline_loss, outline_probability
from models.mit.network import MiT
from models.mit.plan import Task
from models.mit.study_data import Cases
from models.shared.backbones.language.decoder import Decoder
from models.shared.data.phantoms.notes import VERDICTS

TOLD_EVERY, CLIP_VALUE, WIDEN = 20, 1.0, 4
"""WIDEN: of the outline head's feed-forward part."""


def build(task: Task, config: Config, decoder: Decoder, seen: Seen, seed: int) -> MiT:
    """An untrained network for what the tower gives; the same seed gives the same numbers."""
    tokens = seen.taps.shape[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if task.id == "notes":
            head = Verdict(decoder.width, len(VERDICTS))
        else:
            grid = round((seen.taps.shape[2] - 1) ** 0.5)
            head = Outline(decoder.width, tokens, grid, width=task.width, mlp=WIDEN * task.width, out=task.side, taps=seen.taps.shape[1])
        return MiT(decoder, config, (seen.vector.shape[-1],), head, patch=tokens)


@torch.no_grad()
def begun(net: MiT, data: Cases, *, batch: int = 200) -> Tensor:
    """float16 (N, M, T, d): every text up to the first infused layer."""
    n, m, t = data.ids.shape
    ids, mask, device = data.ids.view(n * m, t), data.mask.view(n * m, t), net.decoder.device
    parts = [net.begin(ids[at : at + batch].to(device), mask[at : at + batch].to(device)).half().cpu() for at in range(0, n * m, batch)]
    return torch.cat(parts).view(n, m, t, -1)


def say(net: MiT, hidden: Tensor, mask: Tensor, seen: Seen, *, drawn: Seen | None = None, strength: float = 1.0) -> Tensor:
    """The head's logits for kept states (B, T, d) and pictures; drawn: the pictures whose layers an outline is drawn from, where they are others."""
    length, device = int(mask.sum(1).max()), net.decoder.device
    more = {"patches": seen.patches.to(device)} if net.config.prepend else {}
    if isinstance(net.head, Outline):
        more["taps"] = tuple(one.to(device) for one in (drawn or seen).layers)
    return net(hidden[:, :length].float().to(device), mask[:, :length].to(device), (seen.vector.to(device),), strength=strength, **more)


def fit(net: MiT, train: Cases, task: Task, *, seed: int) -> Iterator[tuple[int, float]]:
    """Train in place; yields (step, mean loss since the last) every 20 steps and at the end."""
    device = net.decoder.device
    net.to(device).train()
    kept = begun(net, train)
    optimizer = torch.optim.Adam(net.parameters(), lr=task.lr)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, round(task.drop * task.steps)), 0.1)
    order = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(train), (task.steps, task.batch), generator=order)
    places = torch.randint(train.ids.shape[1], (task.steps, task.batch), generator=order)
    told: list[Tensor] = []
    for step in range(task.steps):
        row, place = rows[step], places[step]
        logits = say(net, kept[row, place], train.mask[row, place], train.seen.rows(row))
        target = train.target[row, place].to(device)
        loss = F.cross_entropy(logits, target) if task.id == "notes" else outline_loss(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_value_(net.parameters(), CLIP_VALUE)
        optimizer.step()
        schedule.step()
        told.append(loss.detach())
        if (step + 1) % TOLD_EVERY == 0 or step + 1 == task.steps:
            yield step + 1, float(torch.stack(told).mean())
            told = []


@torch.no_grad()
def answers(net: MiT, test: Cases, *, swapped: bool = False, batch: int = 50) -> Tensor:
    """float32 (N, M, K) probabilities of verdicts, or (N, M, side, side) of outlines.

    swapped: the language model is given the next picture's vector, while an outline is still drawn from its own picture's layers.
    """
    net.eval()
    kept, found = begun(net, test), []
    for place in range(test.ids.shape[1]):
        parts = []
        for rows in torch.arange(len(test)).split(batch):
            own = test.seen.rows(rows)
            infused = test.seen.rows((rows + 1) % len(test)) if swapped else own
            logits = say(net, kept[rows, place], test.mask[rows, place], infused, drawn=own).cpu()
            parts.append(outline_probability(logits) if isinstance(net.head, Outline) else logits.softmax(-1))
        found.append(torch.cat(parts))
    return torch.stack(found, dim=1)
