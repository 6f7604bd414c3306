"""Phantoms: made-up grey "scans" with masks, facts and captions, drawn from a seed. No patient, no clinical truth.

Four families imitate the look of a modality: a chest radiograph, a breast ultrasound, a brain MR slice and a liver CT slice. They
serve to try methods where the truth is known to the pixel; the visual signs that define their classes are inferred, for
demonstration, and stand in each family's file. Same family, seed, size and options: same phantom, bit for bit, alone or in a batch
(with the same NumPy on the same kind of processor; elsewhere grey levels may differ in the last digit, facts never).

``SPLITS`` gives each split its own seeds; `held_out` names the combinations of attributes only the "unseen" split shows;
``shortcut`` ties a cue outside the anatomy to the class in train and validation seeds, never in test or unseen ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.shared.data.phantoms.facts import Combination, held_out_of
from models.shared.data.phantoms.generate import drawer_of, make, names
from models.shared.data.phantoms.records import Lesion, Marker, Phantom, PhantomBatch
from models.shared.data.phantoms.splits import SPLITS, split_of, split_seeds
from models.shared.data.phantoms.words import phrase

__all__ = [
    "SPLITS", "Lesion", "Marker", "Phantom", "PhantomBatch", "batch", "classes", "families", "held_out", "phrase", "sample",
    "split_of", "split_seeds", "title",
]  # fmt: skip


def families() -> tuple[str, ...]:
    """The names `sample` and `batch` take."""
    return names()


def title(family: str) -> str:
    """What to call it on a screen: "breast-ultrasound-like phantom". Raises ValueError for an unknown family."""
    return drawer_of(family).FAMILY.title


def classes(family: str) -> tuple[str, ...]:
    """The labels of a family, in the order of `PhantomBatch.labels`. Raises ValueError for an unknown family."""
    return drawer_of(family).FAMILY.classes


def held_out(family: str) -> frozenset[Combination]:
    """(side, zone, margin, density) of lesions that only the "unseen" split draws. Raises ValueError for an unknown family."""
    return held_out_of(drawer_of(family).FAMILY)


def sample(family: str, seed: int, *, size: int = 128, shortcut: float = 0.0, **want: object) -> Phantom:
    """One phantom; ``image`` is (size, size) float32 in 0…1.

    ``want`` fixes facts: label, count, side, zone, lesion_size, margin, density; all but label and count describe the first lesion.
    A second or third lesion for which the organ has no room is left out, so ``count`` is the most there will be. Raises ValueError in
    a plain sentence for what does not exist or does not go together.
    """
    return make(family, (seed,), size, shortcut, want)[0]


def batch(family: str, seeds: Sequence[int], *, size: int = 128, shortcut: float = 0.0) -> PhantomBatch:
    """Phantoms of many seeds at once; item i equals ``sample(family, seeds[i], …)`` bit for bit. Raises ValueError as `sample` does."""
    return make(family, seeds, size, shortcut, {})
