"""Handwritten digits, 8×8 grey, as carried by scikit-learn: always here, so every method can be tried with no download."""

from __future__ import annotations

from models.shared.data import Dataset

TITLE = "Handwritten digits (8×8)"


def here() -> bool:
    """Always: the set comes inside scikit-learn."""
    return True


def load() -> Dataset:
    """1,797 pictures (N, 1, 8, 8) in 0…1, cut 60 / 20 / 20 per cent."""
    from sklearn.datasets import load_digits

    from models.shared.data.splits import as_split, cut

    raw = load_digits()
    x, y = raw.images[:, None] / 16, raw.target  # N 1 8 8; the grey levels are counts 0…16
    train, validation, test = (as_split(x[rows], y[rows]) for rows in cut(y, validation=0.2, test=0.2))
    return Dataset(
        name="digits",
        title=TITLE,
        kind="real",
        licence="CC BY 4.0",
        source="Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, UCI, 1998), its 1,797 test cases",
        classes=tuple(str(digit) for digit in range(10)),
        train=train,
        validation=validation,
        test=test,
        note="Not medical. The same writers appear in all three parts, so a score here says nothing about new writers.",
    )
