"""PneumoniaMNIST: chest X-rays of children at 28×28, pneumonia or not. The reduced archive serves as well and says so."""

from __future__ import annotations

from models.shared.data import Dataset

TITLE = "Chest X-ray of children, 28×28 (PneumoniaMNIST)"
_FILES = ("pneumoniamnist.npz", "pneumoniamnist_subset.npz")
_COMPLETE = 4708
"""Training pictures of the official archive."""


def here() -> bool:
    """Whether the complete archive or the reduced one lies in the data folder."""
    from models.shared.data.medmnist import find

    return find(*_FILES) is not None


def load() -> Dataset:
    """4,708 (reduced archive: 3,882) / 524 / 624 pictures less exact copies, (N, 1, 28, 28) in 0…1."""
    from models.shared.data.medmnist import LICENCE, SOURCE, read

    train, validation, test, copies = read(TITLE, 2, *_FILES)
    reduced = len(train) < _COMPLETE * 0.9  # copies taken out are far fewer
    missing = f" The training part is reduced (officially {_COMPLETE:,}), so do not compare with published scores." if reduced else ""
    return Dataset(
        name="pneumoniamnist",
        title=TITLE,
        kind="real",
        licence=LICENCE,
        source=f"{SOURCE}, made from D. Kermany et al., Cell 172 (2018)",
        classes=("normal", "pneumonia"),
        train=train,
        validation=validation,
        test=test,
        note=f"The test part is the source's own and has a far larger share of normal cases than training.{missing} {copies}",
    )
