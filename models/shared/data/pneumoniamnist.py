"""PneumoniaMNIST: chest X-rays of children at 28×28, pneumonia or not. The reduced archive serves as well and says so."""

from __future__ import annotations

from pathlib import Path

from models.shared.data import Dataset, SetRecord

COUNTS = {"pneumoniamnist.npz": (4708, 524, 624), "pneumoniamnist_subset.npz": (3882, 524, 624)}
"""Pictures of each part, by the name an archive is kept under."""
RECORD = SetRecord(
    name="pneumoniamnist",
    title="Chest X-ray of children, 28×28 (PneumoniaMNIST)",
    licence="CC BY 4.0",
    source="MedMNIST v2 (J. Yang et al., Scientific Data 10:41, 2023), made from D. Kermany et al., Cell 172 (2018)",
    classes=("normal", "pneumonia"),
    n=5856,
    ships_weights=True,
    size=28,
    sizes=(14, 224),
    places=("medmnist/pneumoniamnist.npz", "medmnist/pneumoniamnist_subset.npz"),
    obtain="Get pneumoniamnist.npz of MedMNIST v2 (28 pixels) from its makers' page, named in J. Yang et al., Scientific Data 10:41 (2023).",
)
_COMPLETE = 4708
"""Training pictures of the official archive."""


def here() -> bool:
    """Whether the complete archive or the reduced one lies in the data folder."""
    from models.shared.data.medmnist import find

    return find(*COUNTS) is not None


def load(size: int = 28) -> Dataset:
    """4,708 (reduced archive: 3,882) / 524 / 624 pictures less exact copies, (N, 1, size, size) in 0…1; above 28 they are enlarged."""
    from models.shared.data.medmnist import read

    train, validation, test, copies = read(RECORD, size, *COUNTS)
    reduced = len(train) < _COMPLETE * 0.9  # copies taken out are far fewer
    missing = f" The training part is reduced (officially {_COMPLETE:,}), so do not compare with published scores." if reduced else ""
    note = f"The test part is the source's own and has a far larger share of normal cases than training.{missing} {copies}"
    return RECORD.dataset(train, validation, test, note)


def check_file(path: Path) -> str:
    """The place under the data folder for this archive, after reading it whole. DataDamaged when it is not this set."""
    from models.shared.data.medmnist import place_of

    return place_of(path, len(RECORD.classes), COUNTS)
