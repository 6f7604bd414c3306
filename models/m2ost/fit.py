"""Training one network on spots: squared error on log(1 + CPM), one shared flip or quarter turn for all views, a little stain jitter.

The paper's file uses Adam at 1e-4 for 100 epochs; at this size AdamW with a warm-up and a cosine gets there in a tenth of it (inferred).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.m2ost.data import LEVELS, Spots
from models.m2ost.network import M2OST
from models.shared.data import Split
from models.shared.training import Batches, Fit

_WARM = 0.08
_JITTER = 0.06
_PREDICT_BATCH = 256


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    epochs: int = 14
    batch: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.02


class Seen(nn.Module):
    """The network as a module from packed views, uint8 (B, 3, S, S, 3), to expression (B, G); turns and jitters them while training."""

    def __init__(self, network: M2OST) -> None:
        super().__init__()
        self.network = network

    def forward(self, packed: Tensor) -> Tensor:
        """(B, 3 views, S, S, 3) → (B, G)."""
        images = as_images(packed, self.network.levels)
        if self.training:
            images = jittered(turned(images))
        return self.network(images)


def as_images(packed: Tensor, levels: tuple[int, ...]) -> list[Tensor]:
    """Packed uint8 views (B, 3, S, S, 3) as float (B, 3, S, S) in 0…1, those of the levels asked for."""
    return [packed[:, LEVELS.index(level)].permute(0, 3, 1, 2).float() / 255 for level in levels]


def turned(images: list[Tensor]) -> list[Tensor]:
    """One of the eight symmetries of the square for each case, the same for all its views."""
    count = len(images[0])
    turn, flip = torch.randint(4, (count,)), torch.rand(count) < 0.5
    made = []
    for image in images:
        out = torch.empty_like(image)
        for k in range(4):
            for mirror in (False, True):
                rows = (turn == k) & (flip == mirror)
                if rows.any():
                    some = torch.rot90(image[rows], k, (-2, -1))
                    out[rows] = some.flip(-1) if mirror else some
        made.append(out)
    return made


def jittered(images: list[Tensor]) -> list[Tensor]:
    """Darkness of each colour changed by a few per cent, the same for all views of a case: stains differ between laboratories (inferred)."""
    factor = 1 + _JITTER * torch.randn(len(images[0]), 3, 1, 1)
    return [(1 - (1 - image) * factor).clamp(0, 1) for image in images]


def training(network: M2OST, spots: Spots, *, seed: int, schedule: Schedule | None = None, device: str = "cpu") -> Fit:
    """A run to iterate over; the network is trained in place and begins at the spots' average profile."""
    how = schedule or Schedule()
    with torch.no_grad():
        network.head.bias.copy_(torch.from_numpy(spots.y.mean(0)))
    model = Seen(network).to(device)
    split = Split(torch.from_numpy(spots.views), torch.from_numpy(spots.y))
    batches = Batches(len(spots), min(how.batch, len(spots)), seed)
    steps = max(1, how.epochs * batches.steps_per_epoch)
    optimizer = torch.optim.AdamW(_groups(network, how.weight_decay), lr=how.lr, betas=(0.9, 0.98))
    warm = max(1, int(_WARM * steps))
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )
    return Fit(model, optimizer, nn.functional.mse_loss, split, batches, steps=steps, device=device, scheduler=rate)


def _groups(network: M2OST, decay: float) -> list[dict]:
    """Matrices decay; biases, norms, tokens and positions do not."""
    named = list(network.named_parameters())
    held = [p for name, p in named if p.ndim < 2 or name.startswith(("cls", "positions"))]
    return [
        {"params": [p for _, p in named if not any(p is other for other in held)], "weight_decay": decay},
        {"params": held, "weight_decay": 0.0},
    ]


@torch.no_grad()
def predict(network: M2OST, views: np.ndarray, *, off: tuple[int, ...] = (), device: str = "cpu") -> np.ndarray:
    """Expression float32 (N, G) for packed views uint8 (N, 3, S, S, 3)."""
    network.eval()
    made = []
    for start in range(0, len(views), _PREDICT_BATCH):
        packed = torch.from_numpy(np.ascontiguousarray(views[start : start + _PREDICT_BATCH])).to(device)
        made.append(network(as_images(packed, network.levels), off=off).float().cpu().numpy())
    return np.concatenate(made) if made else np.zeros((0, network.head.out_features), np.float32)
