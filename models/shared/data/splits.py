"""Cutting a set into training, validation and test parts: stratified, seeded, and with no picture in two of them.

Public sets hold copies: the same picture under several names, now and then on both sides of their own split. A model that has
seen a test picture in training is measured too well, so copies are taken out of the training and validation parts. The test part
is left as its makers published it, so that its size stays comparable.
"""

from __future__ import annotations

import numpy as np

from models.shared.data import Split

SEED = 20240304
"""Fixed for every set: a split is part of the data, not of a run."""


def cut(y: np.ndarray, *, validation: float, test: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers (train, validation, test) with the classes in the same shares in each.

    `y` is (N,) of class numbers; the shares are parts of all N rows. With `test=0` the last array is empty.
    """
    from sklearn.model_selection import train_test_split

    rest, held = np.arange(len(y)), np.empty(0, dtype=np.int64)
    if test:
        rest, held = train_test_split(rest, test_size=round(test * len(y)), stratify=y, random_state=SEED)
    train, check = train_test_split(rest, test_size=round(validation * len(y)), stratify=y[rest], random_state=SEED)
    return np.sort(train), np.sort(check), np.sort(held)


def rows_without_copies(x: np.ndarray, *held_out: np.ndarray) -> np.ndarray:
    """Numbers of the rows of `x` (N, …) that are neither in a held-out set nor an exact copy of an earlier row."""
    seen = {row.tobytes() for rows in held_out for row in rows}
    kept = []
    for number, row in enumerate(x):
        key = row.tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(number)
    return np.asarray(kept, dtype=np.int64)


def as_split(x: np.ndarray, y: np.ndarray, **more: np.ndarray) -> Split:
    """Arrays as tensors: x float32 (N, …), y int64 (N,); `more` are further fields of `Split`, with their own types."""
    import torch  # here, so that looking which sets are present loads no PyTorch

    extra = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in more.items()}
    x, y = np.ascontiguousarray(x, dtype=np.float32), np.ascontiguousarray(y, dtype=np.int64)
    return Split(torch.from_numpy(x), torch.from_numpy(y), **extra)
