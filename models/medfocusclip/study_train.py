"""One run of a study: the frozen blocks once for every picture, then training of the open ones, then answers on held-out pictures.

N pictures, V versions of each, T tokens, C channels, n patches, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.medfocusclip.guidance import guide, token_share
from models.medfocusclip.losses import focus_loss
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.study_data import Cases, Version, show
from models.medfocusclip.study_plan import Arm, Training
from models.shared.training import Batches

_ENCODE_BATCH = 64
_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pictures as tokens that enter the first trained block, in one or several versions."""

    tokens: Tensor
    """(V, N, T, C)."""
    shares: Tensor | None
    """(V, N, n) where attention is steered."""
    labels: Tensor
    """(N,) int64."""


@torch.inference_mode(False)
@torch.no_grad()
def encode(
    net: FocusClassifier,
    cases: Cases,
    rows: np.ndarray,
    arm: Arm,
    *,
    wanted: Sequence[Version] = (Version(),),
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Encoded:
    """Run the frozen part on these rows. `dtype` of the kept tokens: half precision is enough for training, and halves the memory."""
    tokens: list[Tensor] = []
    shares: list[Tensor] = []
    batches = [(version, rows[start : start + _ENCODE_BATCH]) for version in wanted for start in range(0, len(rows), _ENCODE_BATCH)]
    for number, (version, part) in enumerate(batches):
        shown = show(cases, part, arm, version)
        share = None
        if shown.share is not None:
            share = torch.stack([token_share(region, net.clip) for region in shown.share]).flatten(1)  # B n
            shares.append(share)
        x = net.clip.preprocess(shown.pixels)
        tokens.append(net.front(x, bias_of(net, arm, share)).to(dtype))
        progress(number + 1, len(batches))
    joined = torch.cat(tokens).unflatten(0, (len(wanted), len(rows)))
    spread = torch.cat(shares).unflatten(0, (len(wanted), len(rows))) if shares else None
    return Encoded(joined, spread, torch.from_numpy(cases.labels[rows]).to(joined.device))


def bias_of(net: FocusClassifier, arm: Arm, share: Tensor | None) -> dict[int, Tensor]:
    """What an arm adds to attention scores, by block; nothing for arms that do not steer. `share` (B, n)."""
    if share is None or arm.mode != "attention":
        return {}
    return guide(share.to(net.scale.device), arm.guidance, net.clip.layers)


def fit(net: FocusClassifier, arm: Arm, data: Encoded, rows: Tensor, training: Training, *, seed: int) -> Iterator[tuple[int, int, float]]:
    """Train the open blocks on these rows of `data`; yields (step, steps, loss of the batch) after each step.

    Order, versions and schedule follow from the seed alone. ValueError when the loss stops being a finite number.
    """
    steps = training.steps(len(rows))
    opened = list(net.trainable().values())
    groups = [{"params": [p for p in opened if p.ndim > 1]}, {"params": [p for p in opened if p.ndim <= 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=training.lr, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    batches = Batches(len(rows), training.batch, seed)
    dice = torch.Generator().manual_seed(seed)
    device = net.scale.device
    for step in range(steps):
        picked = rows[batches.indices(step)]
        version = torch.randint(len(data.tokens), (len(picked),), generator=dice)
        share = None if data.shares is None else data.shares[version, picked]
        with torch.autocast(device.type, torch.bfloat16):
            v = net.back(data.tokens[version, picked].to(device, torch.float32), bias_of(net, arm, share))
        loss = focus_loss(v.float(), net.texts, data.labels[picked], net.scale, balance=training.balance)
        if not math.isfinite(float(loss.detach())):
            raise ValueError("The training's loss is no longer a number; take a smaller learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield step + 1, steps, float(loss.detach())


@torch.no_grad()
def answers(net: FocusClassifier, arm: Arm, data: Encoded) -> Tensor:
    """Logits (N, K) of the first version of each picture, in float32."""
    out = []
    for start in range(0, data.tokens.shape[1], _ENCODE_BATCH):
        part = slice(start, start + _ENCODE_BATCH)
        share = None if data.shares is None else data.shares[0, part]
        out.append(net.logits(net.back(data.tokens[0, part].float(), bias_of(net, arm, share))))
    return torch.cat(out).cpu()


def _rate(step: int, steps: int) -> float:
    """Linear rise, then a half cosine down to zero."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
