"""What this tab offers to look at, and what is truly there where that is known."""

from __future__ import annotations

import re

from workbench.examples import Example, from_assets, from_data, phantom
from workbench.pictures import Shown

NUMBERS = (4, 26, 23, 0)
"""Of the test pictures that ship as DICOM files, `assets/examples/chest_findings_<n>.dcm`; the last has no finding."""
PLAIN = 3
"""Of the test picture that ships as a PNG. It comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
_NAME = re.compile(r"asset:chest_findings_(\d+)\.(?:dcm|png)")


def examples() -> list[Example]:
    """Made-up chest pictures, all but the first with DICOM headers, and pictures of other kinds: a chest-X-ray-like phantom, a real ultrasound where the host has it."""
    plain = from_assets([f"chest_findings_{PLAIN}.png"], "Chest-like phantom with findings")
    made = from_assets([f"chest_findings_{number}.dcm" for number in NUMBERS], "Chest-like phantom with findings (DICOM)")
    real = from_data("busi-subset/images", ["malignant_001.png"], "Breast ultrasound, real")
    return [*plain, *made, phantom("chest_xray", 3), *real]


def truth(shown: Shown) -> tuple[str, ...] | None:
    """The findings that are truly there, for a phantom of this room; None where it is not known."""
    number = _NAME.fullmatch(shown.id)
    if not number:
        return None
    from models.hsvlt.examples import picture_of

    return picture_of(int(number[1]), 96).names


def own(shown: Shown) -> bool:
    """Whether the picture is of the kind that the network learned from."""
    return _NAME.fullmatch(shown.id) is not None
