"""BreastMNIST: breast ultrasound at 28×28, malignant or not; the complete set."""

from __future__ import annotations

from pathlib import Path

from models.shared.data import Dataset, SetRecord

COUNTS = {"breastmnist.npz": (546, 78, 156)}
"""Pictures of each part, by the name an archive is kept under."""
RECORD = SetRecord(
    name="breastmnist",
    title="Breast ultrasound, 28×28 (BreastMNIST)",
    licence="CC BY 4.0",
    source=(
        "MedMNIST v2 (J. Yang et al., Scientific Data 10:41, 2023), made from BUSI (W. Al-Dhabyani et al., Data in Brief 28:104863, 2020)"
    ),
    classes=("malignant", "normal or benign"),
    n=780,
    ships_weights=True,
    size=28,
    sizes=(14, 224),
    places=("medmnist/breastmnist.npz",),
    obtain="Get breastmnist.npz of MedMNIST v2 (28 pixels) from its makers' page, named in J. Yang et al., Scientific Data 10:41 (2023).",
)


def here() -> bool:
    """Whether the archive lies in the data folder."""
    from models.shared.data.medmnist import find

    return find(*COUNTS) is not None


def load(size: int = 28) -> Dataset:
    """546 / 78 / 156 pictures less exact copies, (N, 1, size, size) in 0…1; above 28 they are enlarged, which adds no detail."""
    from models.shared.data.medmnist import read

    train, validation, test, copies = read(RECORD, size, *COUNTS)
    note = f"Small test part (156), so intervals are wide. The pictures it was made from hold near-copies and burnt-in marks. {copies}"
    return RECORD.dataset(train, validation, test, note)


def check_file(path: Path) -> str:
    """The place under the data folder for this archive, after reading it whole. DataDamaged when it is not this set."""
    from models.shared.data.medmnist import place_of

    return place_of(path, len(RECORD.classes), COUNTS)
