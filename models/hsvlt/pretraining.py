"""The visual trunk's first lesson: crops in which one finding fills the frame, as objects fill the pictures of ImageNet (inferred).

The paper begins with a trunk pretrained on ImageNet-22k, whose pictures show one object each. That is too large to ship, and without any such lesson small
findings are hardly learned: a spot of five pixels is one place in hundreds that attention averages at first. So the trunk learns from small crops of
made-up pictures which findings they show; attention, words and head begin untrained. Findings' masks say where to crop, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hsvlt.config import Config
from models.hsvlt.findings import FINDINGS, sample
from models.hsvlt.network import HSVLT
from models.hsvlt.plan import Task
from models.hsvlt.study_data import halved
from models.hsvlt.training import changed
from models.shared.data.phantoms import split_seeds

SIDE, CROP, JITTER = 96, 32, 6
"""Of a picture and of a crop, in pixels; how far a crop's centre lies from a pixel of the finding at most."""
EACH, FIRST = 2, 900_000
"""Crops of each finding, and of anywhere; the number of the first picture, far from those of the studies."""
BATCH, LR, WARM, DECAY = 64, 2e-3, 0.1, 0.05
SEEN, MOST = 0.5, 200
"""A crop shows a finding where it holds that share of its pixels, of large ones of so many pixels."""


def lay_trunk(net: HSVLT, task: Task, seed: int) -> None:
    """Give a network the pretrained trunk of its widths and seed; the rest stays as it is."""
    own = net.config
    bare = replace(Config(), **{name: getattr(own, name) for name in ("widths", "depths", "stem", "layer_scale", "spread")})
    trunk = _trunk(bare, seed, task.pretrain, task.crops_from)
    mine = net.state_dict()
    mine.update({name: value.clone() for name, value in trunk.items()})
    net.load_state_dict(mine)


@lru_cache(maxsize=2)
def crops(seed: int, pictures: int) -> tuple[Tensor, Tensor]:
    """From so many pictures: crops uint8 (N, 1, 32, 32) and which findings they show, float32 (N, 8)."""
    random = np.random.default_rng([seed, 0xC209])
    x, y = [], []
    for number in split_seeds("train", pictures, FIRST + seed * pictures):
        one = sample(number, 2 * SIDE)
        image, masks = (halved(one.image) * 255).round().astype(np.uint8), halved(one.masks) > 0
        pixels = masks.reshape(len(FINDINGS), -1).sum(1)
        for place in (*np.flatnonzero(pixels), -1):
            for _ in range(EACH):
                centre = random.integers(0, SIDE, 2)
                if place >= 0:
                    spots = np.argwhere(masks[place])
                    centre = spots[random.integers(len(spots))] + random.integers(-JITTER, JITTER + 1, 2)
                top, left = np.clip(centre - CROP // 2, 0, SIDE - CROP)
                rows, columns = slice(top, top + CROP), slice(left, left + CROP)
                inside = masks[:, rows, columns].reshape(len(FINDINGS), -1).sum(1)
                x.append(image[rows, columns])
                y.append((inside > 0) & (inside >= SEEN * np.minimum(pixels, MOST)))
    return torch.from_numpy(np.stack(x))[:, None], torch.from_numpy(np.stack(y)).float()


@lru_cache(maxsize=4)
def _trunk(config: Config, seed: int, steps: int, pictures: int) -> dict[str, Tensor]:
    return pretrain(config, *crops(seed, pictures), seed=seed, steps=steps)


def pretrain(config: Config, x: Tensor, y: Tensor, *, seed: int, steps: int) -> dict[str, Tensor]:
    """The trunk's weights by their names in the network, trained on crops uint8 (N, 1, c, c) that show findings y (N, L). One and the same for all arms of
    a seed whose trunk is the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = HSVLT(config).to(memory_format=torch.channels_last)
        head = nn.Sequential(nn.LayerNorm(config.widths[-1]), nn.Linear(config.widths[-1], y.shape[1]))
    trunk = {name: value for name, value in net.named_parameters() if name.startswith("down.") or ".visual." in name}
    optimizer = torch.optim.AdamW([*trunk.values(), *head.parameters()], lr=LR, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=max(steps, 2), pct_start=WARM)
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=random)
        vision = changed(x[rows], random).expand(-1, 3, -1, -1)
        for down, blocks in zip(net.down, net.stages, strict=True):
            vision = down(vision)
            for block in blocks:
                vision = block.visual(vision)
        loss = F.binary_cross_entropy_with_logits(head(vision.mean((2, 3))), y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: value.detach().contiguous() for name, value in trunk.items()}
