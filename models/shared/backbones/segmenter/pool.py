"""What the small segmenter learns from: a pool of pictures with the masks of all their objects, drawn once and used over and over.

Sources: the train seeds of three phantom families (all lesion and organ masks) and the outlined training pictures of BUSI. Liver CT
phantoms are never among them: they are the family that nobody has shown the network. Half of the phantoms are drawn at the network's
256 px and half at 128 px and enlarged, as a picture of that size would be.
N pictures, T objects of all pictures together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.shared.data import is_here, load
from models.shared.data.phantoms import Phantom, batch, split_seeds
from models.shared.data.pictures import resize

FAMILIES = ("chest_xray", "breast_ultrasound", "brain_mr")
HELD_OUT_FAMILY = "liver_ct"
SIDE = 256
MASK_SIDE = 128
MAX_OBJECTS = 6
"""Of one picture; further ones are left out."""
_CHUNK = 64  # phantoms drawn at once, so that their float pictures never take much memory


@dataclass(frozen=True, eq=False)
class Pool:
    """Pictures of one source with their objects."""

    name: str
    images: np.ndarray
    """uint8 (N, 256, 256)."""
    masks: np.ndarray
    """uint8 (T, 128, 128): how much of each pixel the object covers, 0 to 255."""
    first: np.ndarray
    """int64 (N + 1): the objects of picture i are `first[i]` to `first[i + 1]`, lesions before organs."""
    lesions: np.ndarray
    """int64 (N,): how many of them are lesions."""

    def __len__(self) -> int:
        return len(self.images)


def phantom_pool(family: str, n: int) -> Iterator[Pool | int]:
    """Pictures of a family's train seeds: the number drawn so far after each chunk, and at last the pool."""
    images, masks, counts, lesions = [], [], [], []
    seeds = split_seeds("train", n)
    for k, start in enumerate(range(0, n, _CHUNK)):
        drawn = batch(family, seeds[start : start + _CHUNK], size=SIDE if k % 2 == 0 else MASK_SIDE)
        images.append(resize((drawn.images * 255).round().astype(np.uint8), SIDE))
        for phantom in drawn:
            objects = _objects(phantom)
            masks += [_covered(mask) for mask in objects]
            counts.append(len(objects))
            lesions.append(len(phantom.lesions))
        yield len(counts)
    yield Pool(family, np.concatenate(images), np.stack(masks), _starts(counts), np.array(lesions))


def busi_pool() -> Pool | None:
    """The training pictures of BUSI with a lesion drawn; None where the set is not here."""
    if not is_here("busi"):
        return None
    part = load("busi", size=SIDE).train
    rows = part.masks.flatten(1).any(1)
    images = (part.x[rows, 0].numpy() * 255).round().astype(np.uint8)
    masks = np.stack([_covered(mask) for mask in part.masks[rows].numpy()])
    return Pool("busi", images, masks, np.arange(len(images) + 1), np.ones(len(images), np.int64))


def _objects(phantom: Phantom) -> list[np.ndarray]:
    found = [*(lesion.mask for lesion in phantom.lesions), *phantom.organ.values()]
    return [mask for mask in found if mask.any()][:MAX_OBJECTS]


def _covered(mask: np.ndarray) -> np.ndarray:
    """(256, 256) or (128, 128) bool → (128, 128) uint8, the covered share of each pixel."""
    step = mask.shape[0] // MASK_SIDE
    share = mask.reshape(MASK_SIDE, step, MASK_SIDE, step).mean((1, 3))
    return (share * 255).round().astype(np.uint8)


def _starts(counts: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
