"""Phantoms of every family with requests and answers of the four tasks, seen once by the frozen tower. N pictures, M lesions at most, V variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.neural_tuning.features import Seen, look_at_many
from models.neural_tuning.heads import CANVAS
from models.neural_tuning.plan import Plan
from models.neural_tuning.sequence import Turn, turn
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.load import load_clip
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import load
from models.shared.backbones.language.tasks import TASKS, Exchange, exchange
from models.shared.data import phantoms
from models.shared.data.phantoms.generate import make

DRAWN = 128
"""Side at which phantoms are drawn, as the small CLIP takes them."""
MOST = 3
"""Lesions of a picture, at most."""


@dataclass(frozen=True)
class Spec:
    """Which phantom; it is drawn again where it is wanted."""

    family: str
    seed: int
    count: int
    """Lesions wished for; 0: as the seed has it, with none among them."""

    def drawn(self, side: int = DRAWN) -> phantoms.Phantom:
        """The phantom itself, (side, side)."""
        return make(self.family, [self.seed], side, 0.0, self.wish)[0]

    @property
    def wish(self) -> dict[str, object]:
        return {"count": self.count} if self.count else {}


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures with what is asked of them and what is true."""

    specs: tuple[Spec, ...]
    seen: Seen
    lesions: Tensor
    """bool (N, M, side, side); empty where a picture has fewer."""
    counts: Tensor
    """int64 (N,): lesions."""
    exchanges: Mapping[str, tuple[tuple[Exchange, ...], ...]]
    """Task → N × V."""
    turns: Mapping[str, tuple[tuple[Turn, ...], ...]]
    """The same as tokens."""
    thumbs: Tensor
    """float32 (N, 32, 32): the pictures made small, for the painter."""

    def __len__(self) -> int:
        return len(self.specs)


def towers(device: str = "cpu") -> tuple[Clip, Decoder]:
    """The frozen picture tower and language model: this project's small ones."""
    return load_clip("small", device=device), load(device=device)


def specs(split: str, n: int, start: int = 0) -> tuple[Spec, ...]:
    """Pictures of a split from the `start`-th seed on, families in turn: a quarter as they come, the others with one, two or three lesions."""
    families = phantoms.families()
    seeds = phantoms.split_seeds(split, -(-n // len(families)), start)
    found = []
    for place, seed in enumerate(seeds):
        for family in families:
            count = (place % (MOST + 1)) if family != "brain_mr" else min(place % (MOST + 1), 2)  # the brain has room for two
            found.append(Spec(family, seed, count))
    return tuple(found[:n])


def cases(plan: Plan, split: str, n: int, start: int = 0, *, variants: int, clip: Clip, decoder: Decoder) -> Cases:
    """`n` pictures of a split with `variants` exchanges of each task."""
    wanted = specs(split, n, start)
    drawn = _drawn(wanted)
    said = {task: tuple(_exchanges(one, task, variants) for one in drawn) for task in TASKS}
    lesions = np.zeros((n, MOST, plan.side, plan.side), bool)
    for row, one in enumerate(drawn):
        for place, lesion in enumerate(one.lesions):
            lesions[row, place] = shrunk(lesion.mask, plan.side) >= 0.5
    x = torch.cat([clip.preprocess([one.image for one in drawn[at : at + 64]]).half() for at in range(0, n, 64)])
    return Cases(
        wanted, look_at_many(clip, x), torch.from_numpy(lesions), torch.tensor([len(one.lesions) for one in drawn]), said,
        {
            task: tuple(
                tuple(turn(exchange, one.lesions, decoder.tokenizer, inline=plan.inline) for exchange in row)
                for one, row in zip(drawn, rows, strict=True)
            )
            for task, rows in said.items()
        },
        torch.from_numpy(np.stack([shrunk(one.image, CANVAS) for one in drawn])).float(),
    )  # fmt: skip


@lru_cache(maxsize=2)
def train_cases(plan: Plan, seed: int) -> Cases:
    """Training pictures of a seed."""
    clip, decoder = towers()
    return cases(plan, "train", plan.pool, seed * plan.pool, variants=plan.variants, clip=clip, decoder=decoder)


@lru_cache(maxsize=2)
def test_cases(plan: Plan) -> tuple[Cases, Cases]:
    """(test, unseen combinations of traits); one exchange of each task a picture. The same for all runs."""
    clip, decoder = towers()
    return tuple(cases(plan, split, plan.tests, variants=1, clip=clip, decoder=decoder) for split in ("test", "unseen"))


def shrunk(values: np.ndarray, side: int) -> np.ndarray:
    """(H, H) made small by means, float; H is a multiple of `side`."""
    step = values.shape[0] // side
    return values.reshape(side, step, side, step).mean((1, 3))


def _drawn(wanted: Sequence[Spec]) -> list[phantoms.Phantom]:
    groups: dict[tuple[str, int], list[Spec]] = {}
    for one in wanted:
        groups.setdefault((one.family, one.count), []).append(one)
    found: dict[Spec, phantoms.Phantom] = {}
    for (family, _), some in groups.items():
        made = make(family, [one.seed for one in some], DRAWN, 0.0, some[0].wish)
        found |= dict(zip(some, made, strict=True))
    return [found[one] for one in wanted]


def _exchanges(one: phantoms.Phantom, task: str, variants: int) -> tuple[Exchange, ...]:
    family = phantoms.families().index(one.family)
    return tuple(
        exchange(one, task, np.random.default_rng([one.seed, family, TASKS.index(task), place, 0x4E7])) for place in range(variants)
    )
