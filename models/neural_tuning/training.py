"""One run: AdamW with warm-up, a cosine and value clipping (spec §4). Tower and language model stay frozen; the last weights are kept.

What the tower sees is worked out once. States of the language model cannot be: the map from patches to it learns, and it sits at the input (spec §10).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.neural_tuning.config import Config
from models.neural_tuning.features import Seen
from models.neural_tuning.heads import Painter
from models.neural_tuning.losses import losses, on
from models.neural_tuning.network import NeuralTuning
from models.neural_tuning.plan import Plan
from models.neural_tuning.sequence import DRAW, collate
from models.neural_tuning.study_data import Cases
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.tasks import TASKS

TOLD_EVERY, CLIP_VALUE = 20, 1.0
BETAS = (0.9, 0.95)


def build(plan: Plan, config: Config, decoder: Decoder, seen: Seen, seed: int) -> NeuralTuning:
    """An untrained network for what the tower gives; the same seed gives the same numbers."""
    grid = round((seen.taps.shape[2] - 1) ** 0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = NeuralTuning(
            decoder, config, tokens=seen.taps.shape[-1], feature=seen.feature.shape[-1], grid=grid, side=plan.side, width=plan.width
        )
    return net.to(decoder.device)


def quarters(plan: Plan, size: int, variants: int, seed: int) -> Iterator[list[tuple[str, Tensor, Tensor]]]:
    """For each step, (task, rows (b,), variants (b,)) of every task: which pictures serve which task is drawn anew each time (spec §4)."""
    random = np.random.default_rng([seed, 0x9A1])
    share = plan.batch // len(TASKS)
    for _ in range(plan.steps):
        rows = torch.from_numpy(random.choice(size, plan.batch, replace=size < plan.batch))
        which = torch.from_numpy(random.integers(variants, size=plan.batch))
        yield [(task, *(part[at * share : (at + 1) * share] for part in (rows, which))) for at, task in enumerate(TASKS)]


def fit(net: NeuralTuning, train: Cases, plan: Plan, *, seed: int) -> Iterator[tuple[int, float]]:
    """Train in place; yields (step, mean loss since the last) every 20 steps and at the end."""
    device = net.decoder.device
    net.train()
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=plan.lr, betas=BETAS, weight_decay=plan.decay)
    warm = max(1, round(plan.warm * plan.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / plan.steps)))
    )
    told: list[Tensor] = []
    for step, parts in enumerate(quarters(plan, len(train), plan.variants, seed), 1):
        with torch.random.fork_rng(devices=[]):  # dropout and the rate's jitter follow from seed and step
            torch.manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1))
            loss = _loss(net, train, parts, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_value_(learning, CLIP_VALUE)
        optimizer.step()
        schedule.step()
        told.append(loss.detach())
        if step % TOLD_EVERY == 0 or step == plan.steps:
            yield step, float(torch.stack(told).mean())
            told = []
    net.eval()


def _loss(net: NeuralTuning, train: Cases, parts: list[tuple[str, Tensor, Tensor]], device: torch.device) -> Tensor:
    total = None
    for blind in (False, True):
        some = [(task, rows, which) for task, rows, which in parts if (task == DRAW) == blind]
        said = [
            train.turns[task][row][place] for task, rows, which in some for row, place in zip(rows.tolist(), which.tolist(), strict=True)
        ]
        rows = torch.cat([rows for _, rows, _ in some])
        batch = on(collate(said, net.decoder.tokenizer), device)
        found = losses(net, batch, train.seen.rows(rows).to(device), train.lesions[rows].to(device))
        total = found if total is None else total + found
    return total.total()


def fit_painter(train: Cases, plan: Plan, *, seed: int, batch: int = 64) -> Painter:
    """The small painter, trained on the tower's own features of the pool (mean squared error of grey levels); answering."""
    random = np.random.default_rng([seed, 0xA17])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        painter = Painter(train.seen.feature.shape[-1])
    optimizer = torch.optim.Adam(painter.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.paint)
    for _ in range(plan.paint):
        rows = torch.from_numpy(random.integers(len(train), size=batch))
        loss = F.mse_loss(painter(train.seen.feature[rows].float()), train.thumbs[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return painter.eval()
