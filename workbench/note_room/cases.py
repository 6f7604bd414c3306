"""What the tab offers to look at, which notes it suggests, and what is true where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.examples import Example, from_assets, from_data, phantom
from workbench.pictures import Picture

if TYPE_CHECKING:
    from models.shared.data.phantoms import Phantom

NUMBERS = (("brain_mr", 0), ("chest_xray", 3), ("breast_ultrasound", 6), ("liver_ct", 8))
"""Family and place among the test phantoms, each with exactly one lesion, so that a note about "the" lesion can be true or false."""
ANYWHERE = (
    "breast ultrasound: one large hypoechoic spiculated lesion in the left middle zone",
    "breast ultrasound: one small anechoic smooth lesion in the right shallow zone",
    "chest radiograph showing a large dense mass in the left lower zone",
)


def examples() -> list[Example]:
    """Phantoms of every family, drawn here; a chest-like phantom as a DICOM file; a real ultrasound where the host has it."""
    made = [phantom(family, number) for family, number in NUMBERS]
    dicom = from_assets(["chest_findings_26.dcm"], "Chest-like phantom (DICOM)")
    real = from_data("busi-subset/images", ["malignant_001.png"], "Breast ultrasound, real")
    return [*made, *dicom, *real]


def phantom_of(picture: Picture) -> Phantom | None:
    """The phantom with everything known about it; None for another picture."""
    if picture.phantom is None:
        return None
    from models.shared.data import phantoms

    return phantoms.sample(picture.phantom.family, picture.phantom.seed, size=picture.phantom.side_px)


def suggestions(picture: Picture) -> list[str]:
    """Notes to try: on a phantom with one lesion two that are true, two with one false word, one about another picture."""
    import numpy as np

    from models.shared.data.phantoms.notes import note

    known = phantom_of(picture)
    if known is None or len(known.lesions) != 1:
        return list(ANYWHERE)
    random = np.random.default_rng([known.seed, 1])
    verdicts = ("agree", "contradict", "agree", "contradict", "unrelated")
    return list(dict.fromkeys(note(known, verdict, random).text for verdict in verdicts))


def truth(picture: Picture, note: str) -> tuple[str, tuple[str, ...]] | None:
    """(verdict, false traits) of a note, where it is known."""
    from models.shared.data.phantoms.note_reading import truth as of_note

    known = phantom_of(picture)
    return None if known is None else of_note(known, note)
