"""Slices with their phrases as tensors. Phrases of one slice share its picture; targets are put together from the lesions' masks on the device.

Legend: N slices, P phrases each, T words, L = 4 places for lesions, S side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.lsms import abdomen, phrases
from models.shared.data.phantoms import split_seeds

LESIONS = 4


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures, phrases, and what each phrase means."""

    x: Tensor
    """float32 (N, 1, S, S)."""
    lesions: Tensor
    """bool (N, L, S, S)."""
    tokens: Tensor
    """int64 (N, P, T)."""
    mirrored: Tensor
    """int64 (N, P, T): the same with left and right swapped."""
    reworded: Tensor
    """int64 (N, P, T): the same in other words of the same meaning."""
    meant: Tensor
    """bool (N, P, L)."""
    kinds: np.ndarray
    """int (N, P): place in `phrases.KINDS`."""
    texts: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: str | torch.device) -> Pairs:
        """The same on a device."""
        names = ("x", "lesions", "tokens", "mirrored", "reworded", "meant")
        return Pairs(**{name: getattr(self, name).to(device) for name in names}, kinds=self.kinds, texts=self.texts)

    def targets(self, slices: Tensor, places: Tensor) -> Tensor:
        """bool (B, S, S): what phrase `places[b]` of slice `slices[b]` means."""
        return (self.lesions[slices] & self.meant[slices, places][:, :, None, None]).any(dim=1)

    def all_targets(self) -> Tensor:
        """bool (N, P, S, S): what every phrase means."""
        return (self.lesions[:, None] & self.meant[..., None, None]).any(dim=2)


def pairs(split: str, n: int, per_slice: int, *, side: int = 64, none: float = 0.25, start: int = 0) -> Pairs:
    """`n` slices of a split, from its `start`-th seed on, with `per_slice` phrases each."""
    seeds = split_seeds(split, n, start)
    shown = [abdomen.sample(seed, side) for seed in seeds]
    said = [phrases.phrases(one, np.random.default_rng([seed, 7]), none=none, n=per_slice) for one, seed in zip(shown, seeds, strict=True)]
    masks = np.zeros((n, LESIONS, side, side), bool)
    meant = np.zeros((n, per_slice, LESIONS), bool)
    for row, (one, of_slice) in enumerate(zip(shown, said, strict=True)):
        for place, lesion in enumerate(one.lesions):
            masks[row, place] = lesion.mask
        for place, phrase in enumerate(of_slice):
            meant[row, place, list(phrase.rows)] = True
    texts = tuple(tuple(phrase.text for phrase in of_slice) for of_slice in said)
    flat = [text for of_slice in texts for text in of_slice]
    random = np.random.default_rng([int(seeds[0]), 11])
    versions = [flat, [phrases.mirrored(text) for text in flat], [phrases.reworded(text, random) for text in flat]]
    all_tokens = torch.from_numpy(phrases.tokens([text for texts_ in versions for text in texts_])).view(3, n, per_slice, -1)
    kinds = np.array([[phrases.KINDS.index(phrase.kind) for phrase in of_slice] for of_slice in said])
    x = torch.from_numpy(np.stack([one.image for one in shown])[:, None])
    return Pairs(x, torch.from_numpy(masks), *all_tokens.unbind(), torch.from_numpy(meant), kinds, texts)
