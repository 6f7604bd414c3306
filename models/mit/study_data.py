"""Pictures with texts as tensors: notes that fit, contradict or belong elsewhere; and phrases that mean one lesion of several, with its outline.

Legend: N pictures, M texts each, T tokens, side of an outline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.mit.features import Seen, look_at_many
from models.mit.plan import Task
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.load import load_clip
from models.shared.backbones.language.corpus import asked_whether
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import load
from models.shared.backbones.language.referring import KINDS, refer
from models.shared.backbones.language.tasks import asked
from models.shared.data import phantoms
from models.shared.data.phantoms.generate import make
from models.shared.prompt_interaction.data import Pairs, pairs

DRAWN = 128
"""Side at which phantoms are drawn, as the small CLIP takes them."""


@dataclass(frozen=True, eq=False)
class Cases:
    """Pictures, texts and what is true of them."""

    seen: Seen
    ids: Tensor
    """int64 (N, M, T)."""
    mask: Tensor
    """bool (N, M, T)."""
    target: Tensor
    """int64 (N, M) verdicts, or bool (N, M, side, side) outlines."""
    texts: tuple[tuple[str, ...], ...]
    kinds: np.ndarray
    """int (N, M): place of a phrase's kind in KINDS; empty for notes."""
    pairs: Pairs | None = None
    """Notes: what their measures need."""
    every: Tensor | None = None
    """Outlines: all lesions together, bool (N, side, side)."""

    def __len__(self) -> int:
        return len(self.ids)


def towers(device: str = "cpu") -> tuple[Clip, Decoder]:
    """The frozen picture tower and language model: this project's small ones."""
    return load_clip("small", device=device), load(device=device)


def request(task: str, words: str) -> str:
    """A note or phrase in the instruction it is read in; it ends with the cue, so that the last token is no content word (spec §3.2)."""
    return asked_whether(words) if task == "notes" else asked(f"outline {words}")


def cases(task: Task, split: str, n: int, start: int = 0, *, clip: Clip, decoder: Decoder) -> Cases:
    """`n` pictures of a split with their texts, from the `start`-th seed of each family on."""
    if task.id == "notes":
        found = pairs(clip, split, n, task.texts, start=start)
        ids, mask = _read(task, found.texts, decoder)
        return Cases(look_at_many(clip, found.x), ids, mask, found.verdict, found.texts, np.zeros((0, 0), int), pairs=found)
    drawn = several(split, n, start)
    said = [[refer(one.lesions, np.random.default_rng([one.seed, place, 0x3E7])) for place in range(task.texts)] for one in drawn]
    texts = tuple(tuple(one.text for one in row) for row in said)
    ids, mask = _read(task, texts, decoder)
    target = [
        [_outline([one.lesions[row].mask for row in phrase.rows], task.side) for phrase in row]
        for one, row in zip(drawn, said, strict=True)
    ]
    every = [_outline([lesion.mask for lesion in one.lesions], task.side) for one in drawn]
    x = torch.cat([clip.preprocess([one.image for one in drawn[at : at + 64]]).half() for at in range(0, n, 64)])
    kinds = np.array([[KINDS.index(one.kind) for one in row] for row in said])
    return Cases(
        look_at_many(clip, x), ids, mask, torch.from_numpy(np.array(target)), texts, kinds, every=torch.from_numpy(np.array(every))
    )


def several(split: str, n: int, start: int = 0) -> list[phantoms.Phantom]:
    """Phantoms with two or three lesions, families in turn."""
    families = phantoms.families()
    share, found = -(-n // len(families)), []
    for family in families:
        own: list[phantoms.Phantom] = []
        at = start
        while len(own) < share:
            for count, seeds in zip((2, 3), np.array_split(phantoms.split_seeds(split, 32, at), 2), strict=True):
                most = 2 if family == "brain_mr" else count
                own += [one for one in make(family, [int(seed) for seed in seeds], DRAWN, 0.0, {"count": most}) if len(one.lesions) > 1]
            at += 32
        found.append(own[:share])
    return [one for row in zip(*found, strict=True) for one in row][:n]


@lru_cache(maxsize=2)
def train_cases(task: Task, seed: int) -> Cases:
    """Training pictures of a seed."""
    clip, decoder = towers()
    return cases(task, "train", task.pool, seed * task.pool, clip=clip, decoder=decoder)


@lru_cache(maxsize=2)
def test_cases(task: Task) -> tuple[Cases, Cases]:
    """(test, unseen combinations of traits); one note of each verdict a picture. The same for all runs."""
    clip, decoder = towers()
    if task.id == "notes":
        task = replace(task, texts=1)
    return tuple(cases(task, split, task.tests, clip=clip, decoder=decoder) for split in ("test", "unseen"))


def _read(task: Task, texts: tuple[tuple[str, ...], ...], decoder: Decoder) -> tuple[Tensor, Tensor]:
    ids, mask = decoder.tokenizer.encode([request(task.id, text) for row in texts for text in row])
    return ids.view(len(texts), -1, ids.shape[1]), mask.view(len(texts), -1, ids.shape[1])


def _outline(masks: list[np.ndarray], side: int) -> np.ndarray:
    """bool (side, side): the masks together, made small; a pixel counts when half of it is covered."""
    union = np.logical_or.reduce(masks)
    step = union.shape[0] // side
    return union.reshape(side, step, side, step).mean((1, 3)) >= 0.5
