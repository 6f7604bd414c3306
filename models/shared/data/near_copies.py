"""Pictures that are almost the same: finding them by a perceptual hash, and splits that never separate them.

The hash is the sign pattern of a picture's coarsest cosine waves (C. Zauner, "Implementation and Benchmarking of Perceptual Image
Hash Functions", 2010, section 3.2.1, DCT based): 63 bits, the mean level left out. Known deviation: 32×32 by averaging. Two pictures
whose hashes differ in few bits are taken for near copies, and chains of near copies for one group. Being careful means grouping
too much rather than too little: a picture too many in a group costs nothing, a copy in the test part makes a score too good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.shared.data import DataDamaged
from models.shared.data.pictures import resize
from models.shared.data.splits import SEED


@dataclass(frozen=True)
class Copies:
    """How many near copies a set holds."""

    pictures: int
    groups: int
    """Groups of one picture counted."""
    with_copy: int
    """Pictures that have a near copy."""
    largest: int
    across_classes: int
    """Groups whose pictures carry different classes."""

    def sentence(self) -> str:
        """The counts in words."""
        return (
            f"{self.with_copy} of the {self.pictures} pictures have a near copy among them; the {self.groups} groups (the largest of "
            f"{self.largest}) were kept whole when splitting, and {self.across_classes} of them hold pictures of different classes. "
            "Patients are not named, so parts may still share patients."
        )


def hashes(pictures: np.ndarray) -> np.ndarray:
    """bool (N, 63) from grey uint8 (N, H, W)."""
    from scipy.fft import dctn

    small = resize(pictures, 32).astype(np.float32)  # N 32 32
    coarse = dctn(small, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(small), 64)[:, 1:]
    return coarse > np.median(coarse, axis=1, keepdims=True)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differing bits, int (N, M), between bool (N, 63) and bool (M, 63)."""
    a, b = a.astype(np.float32), b.astype(np.float32)  # float32 for the fast matrix product; counts up to 63 are exact
    return (a @ (1 - b).T + (1 - a) @ b.T).astype(np.int64)


def group(bits: np.ndarray, *, within: int) -> np.ndarray:
    """Group numbers int (N,) from hashes (N, 63): chains of pictures that differ in at most `within` bits, numbered as first met."""
    from scipy.sparse.csgraph import connected_components

    _, groups = connected_components(distances(bits, bits) <= within, directed=False)
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers]


def rows_without_near_copies(bits: np.ndarray, *held_out: np.ndarray, within: int) -> np.ndarray:
    """Numbers of the rows of `bits` (N, 63) that have no near copy in any held-out set of hashes."""
    near = [(distances(bits, other) <= within).any(axis=1) for other in held_out]
    return np.flatnonzero(~np.any(near, axis=0))


def cut_groups(
    y: np.ndarray, groups: np.ndarray, classes: tuple[str, ...], *, validation: float, test: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers (train, validation, test); no group stands in two of them, and every class is in each.

    `y` (N,) are class numbers, `groups` (N,) group numbers. Groups are shuffled with the fixed seed and dealt out class by class,
    a group counting for its commonest class, so shares are as near as whole groups allow. scikit-learn's grouped splits do not
    promise each class in each part when a class is as small as four pictures. Raises DataDamaged for a class with fewer than
    three groups.
    """
    random = np.random.default_rng(SEED)
    sizes = np.bincount(groups)
    label_of = np.array([np.bincount(y[groups == number]).argmax() for number in range(len(sizes))])
    part_of = np.zeros(len(sizes), dtype=np.int64)  # 0 train, 1 validation, 2 test
    for label, name in enumerate(classes):
        waiting = random.permutation(np.flatnonzero(label_of == label)).tolist()
        total = sizes[waiting].sum()
        if len(waiting) < 3:
            raise DataDamaged(
                f"The class {name} has only {len(waiting)} pictures that are not near copies of others; at least 3 are needed, "
                "one each for training, validation and test. Add different pictures to it."
            )
        for part, share in ((2, test), (1, validation)):
            taken = 0
            # One group at least, and one left for each part still to come: as many as this part's number.
            while len(waiting) > part and (taken == 0 or taken + sizes[waiting[-1]] <= share * total):
                taken += sizes[waiting[-1]]
                part_of[waiting.pop()] = part
    rows = part_of[groups]
    return np.flatnonzero(rows == 0), np.flatnonzero(rows == 1), np.flatnonzero(rows == 2)


def summarise(y: np.ndarray, groups: np.ndarray) -> Copies:
    """Counts from class numbers (N,) and group numbers (N,)."""
    sizes = np.bincount(groups)
    mixed = sum(len(np.unique(y[groups == number])) > 1 for number in np.flatnonzero(sizes > 1))
    return Copies(len(y), len(sizes), int(sizes[sizes > 1].sum()), int(sizes.max()), mixed)
