"""What this tab offers to look at, which phrases it suggests, and what a phrase means where that is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from models.shared.paths import assets_dir
from workbench.examples import Example, from_assets, from_data
from workbench.pictures import Shown
from workbench.working_scan import Scan, resized_mask

if TYPE_CHECKING:
    from models.lsms.abdomen import Slice

NUMBERS = (3, 8, 10, 9)
"""Of the test slices that ship as DICOM files, `assets/examples/abdomen_phantom_<n>.dcm`; the last has no lesion."""
PLAIN = 16
"""Of the test slice that ships as a PNG. It comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
TRUTH = "what the phrase means on this phantom"
ANYWHERE = (
    "all lesions",
    "the largest lesion",
    "the dark lesion in the right lobe",
    "the small bright lesion",
    "the lesions in the left lobe",
    "the uppermost lesion",
)
_NAME = re.compile(r"asset:abdomen_phantom_(\d+)\.(?:dcm|png)")


def examples() -> list[Example]:
    """Made-up liver slices, all but the first with DICOM headers, and real CT slices of the data folder where the host has them."""
    plain = from_assets([f"abdomen_phantom_{PLAIN}.png"], "Liver-CT-like phantom")
    made = from_assets([f"abdomen_phantom_{number}.dcm" for number in NUMBERS], "Liver-CT-like phantom (DICOM)")
    real = from_data("ct-multiorgan-slices/images", ["amos_0004_75.png", "amos_0006_90.png"], "Abdominal CT, real")
    return [*plain, *made, *real]


def suggestions(shown: Shown) -> list[str]:
    """Phrases to try: on a phantom of this room each of its lesions, orders, and one that is not there."""
    number = _NAME.fullmatch(shown.id)
    return list(_said()[number[1]]) if number else list(ANYWHERE)


@lru_cache(maxsize=1)
def _said() -> dict[str, list[str]]:
    return json.loads((assets_dir() / "examples" / "abdomen_phrases.json").read_text(encoding="utf-8"))


def known_slice(shown: Shown) -> Slice | None:
    """Everything known of a phantom of this room; None for another picture."""
    number = _NAME.fullmatch(shown.id)
    return _slice(int(number[1])) if number else None


def truth_of(phrase: str) -> Callable[[Scan], tuple[np.ndarray | None, str]]:
    """For the measures: (what the phrase means, bool (H, W), where that is known from); None where it is not known."""

    def truth(made: Scan) -> tuple[np.ndarray | None, str]:
        known = known_slice(made.picture.shown)
        if known is None:
            return None, TRUTH
        from models.lsms.meaning import meant

        rows = meant(known, phrase)
        return (None if rows is None else resized_mask(known.union(rows), made.size)), TRUTH

    return truth


@lru_cache(maxsize=8)
def _slice(number: int) -> Slice:
    from models.lsms.examples import slice_of

    return slice_of(number)
