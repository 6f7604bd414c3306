"""Writes the example table that people can download to try their own table with: `python -m models.shared.data.table_example`.

It is scikit-learn's copy of the Breast Cancer Wisconsin (Diagnostic) set, its numbers cut to five digits and the diagnosis in words.
"""

from __future__ import annotations

import csv
from pathlib import Path

from models.shared.paths import assets_dir

ABOUT = """biopsy_table.csv: 569 needle biopsies of the breast, 30 measures of the cell nuclei and the diagnosis in the last column.

Source: Breast Cancer Wisconsin (Diagnostic), W. Wolberg, O. Mangasarian, N. Street and W. Street, UCI Machine Learning Repository, 1993,
doi 10.24432/C5DW2B, as carried by scikit-learn. Licence: CC BY 4.0.
Changes: values cut to five digits, the diagnosis written in words, column names with underscores.
Written by: python -m models.shared.data.table_example
"""


def path() -> Path:
    """Where the example lies."""
    return assets_dir() / "examples" / "biopsy_table.csv"


def write(to: Path) -> None:
    """The table, and its source and licence in a text file of the same name beside it."""
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(name.replace(" ", "_") for name in raw.feature_names), "diagnosis"])
        for row, answer in zip(raw.data, raw.target, strict=True):
            writer.writerow([*(f"{value:.5g}" for value in row), raw.target_names[answer]])
    to.with_suffix(".txt").write_text(ABOUT, encoding="utf-8")


if __name__ == "__main__":
    write(path())
