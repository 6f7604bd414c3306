"""Wisconsin diagnostic breast cancer table: 30 measures of cell nuclei in fine-needle aspirates, carried by scikit-learn."""

from __future__ import annotations

from models.shared.data import Dataset, SetRecord

RECORD = SetRecord(
    name="breast_cancer",
    title="Breast cancer, cell-nucleus measures",
    licence="CC BY 4.0",
    source="Breast Cancer Wisconsin (Diagnostic) (W. Wolberg and others, UCI, 1993), carried by scikit-learn",
    classes=("malignant", "benign"),
    n=569,
    ships_weights=True,
    size=None,
    sizes=None,
)


def here() -> bool:
    """Always: the set comes inside scikit-learn."""
    return True


def load(size: int | None = None) -> Dataset:
    """569 rows (N, 30), cut 60 / 20 / 20 per cent and standardised with the mean and spread of the training rows alone."""
    from sklearn.datasets import load_breast_cancer

    from models.shared.data.splits import as_split, cut

    raw = load_breast_cancer()
    x, y = raw.data, raw.target
    parts = cut(y, validation=0.2, test=0.2)
    fit_rows = x[parts[0]]
    x = (x - fit_rows.mean(axis=0)) / fit_rows.std(axis=0)  # N 30
    train, validation, test = (as_split(x[rows], y[rows]) for rows in parts)
    return RECORD.dataset(train, validation, test, "569 cases of one hospital: intervals on its 114 test cases are wide.")
