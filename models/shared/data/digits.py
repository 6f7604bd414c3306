"""Handwritten digits, 8×8 grey, as carried by scikit-learn: always here, so every method can be tried with no download."""

from __future__ import annotations

from models.shared.data import Dataset, SetRecord

RECORD = SetRecord(
    name="digits",
    title="Handwritten digits (8×8)",
    licence="CC BY 4.0",
    source="Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, UCI, 1998), its 1,797 test cases",
    classes=tuple(str(digit) for digit in range(10)),
    n=1797,
    ships_weights=True,
    size=8,
    sizes=(8, 8),
)


def here() -> bool:
    """Always: the set comes inside scikit-learn."""
    return True


def load(size: int | None = None) -> Dataset:
    """1,797 pictures (N, 1, 8, 8) in 0…1, cut 60 / 20 / 20 per cent; `size` is 8."""
    from sklearn.datasets import load_digits

    from models.shared.data.splits import as_split, cut

    raw = load_digits()
    x, y = raw.images[:, None] / 16, raw.target  # N 1 8 8; the grey levels are counts 0…16
    train, validation, test = (as_split(x[rows], y[rows]) for rows in cut(y, validation=0.2, test=0.2))
    note = "Not medical. The same writers appear in all three parts, so a score here says nothing about new writers."
    return RECORD.dataset(train, validation, test, note)
