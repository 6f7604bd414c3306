"""BreastMNIST: breast ultrasound at 28×28, malignant or not; the complete set."""

from __future__ import annotations

from models.shared.data import Dataset

TITLE = "Breast ultrasound, 28×28 (BreastMNIST)"
_FILES = ("breastmnist.npz",)


def here() -> bool:
    """Whether the archive lies in the data folder."""
    from models.shared.data.medmnist import find

    return find(*_FILES) is not None


def load() -> Dataset:
    """546 / 78 / 156 pictures less exact copies, (N, 1, 28, 28) in 0…1."""
    from models.shared.data.medmnist import LICENCE, SOURCE, read

    train, validation, test, copies = read(TITLE, 2, *_FILES)
    return Dataset(
        name="breastmnist",
        title=TITLE,
        kind="real",
        licence=LICENCE,
        source=f"{SOURCE}, made from BUSI (W. Al-Dhabyani et al., Data in Brief 28:104863, 2020)",
        classes=("malignant", "normal or benign"),
        train=train,
        validation=validation,
        test=test,
        note=f"Small test part (156), so intervals are wide. The pictures it was made from hold near-copies and burnt-in marks. {copies}",
    )
