"""What the tab offers to look at, which notes it suggests, and what is true where that is known."""

from __future__ import annotations

from workbench.examples import Example, from_assets, from_data, phantom
from workbench.parts.notes import note_suggestions, note_truth, phantom_of
from workbench.pictures import Picture

NUMBERS = (("brain_mr", 0), ("chest_xray", 3), ("breast_ultrasound", 6), ("liver_ct", 8))
"""Family and place among the test phantoms, each with exactly one lesion, so that a note about "the" lesion can be true or false."""


def examples() -> list[Example]:
    """Phantoms of every family, drawn here; a chest-like phantom as a DICOM file; a real ultrasound where the host has it."""
    made = [phantom(family, number) for family, number in NUMBERS]
    dicom = from_assets(["chest_findings_26.dcm"], "Chest-like phantom (DICOM)")
    real = from_data("busi-subset/images", ["malignant_001.png"], "Breast ultrasound, real")
    return [*made, *dicom, *real]


def suggestions(picture: Picture) -> list[str]:
    """Notes to try beside a picture."""
    return note_suggestions(phantom_of(picture))


def truth(picture: Picture, note: str) -> tuple[str, tuple[str, ...]] | None:
    """(verdict, false traits) of a note, where it is known."""
    return note_truth(phantom_of(picture), note)
