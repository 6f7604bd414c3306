"""What this tab offers to look at, which notes and phrases it suggests, and what is true where that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from workbench.examples import Example, from_assets, from_data, phantom
from workbench.parts.notes import note_suggestions, note_truth, phantom_of
from workbench.pictures import Picture, Shown
from workbench.working_scan import Scan, resized_mask

if TYPE_CHECKING:
    from models.shared.backbones.language.referring import Referral
    from models.shared.data.phantoms import Phantom

PLAIN, MADE = "mit_liver_ct_1.png", ("mit_liver_ct_3.dcm", "mit_chest_xray_0.dcm")
"""`python -m models.mit.examples` draws them. The PNG comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
SINGLE = (("brain_mr", 0), ("breast_ultrasound", 6))
"""Family and place among the test phantoms, each with exactly one lesion."""
TRUTH = "what the phrase means on this phantom"
ANY_PHRASE = ("the large lesion", "the lesion on the left side", "the lesion on the right side", "the larger lesion", "all lesions")
_NAME = re.compile(r"asset:mit_([a-z_]+)_(\d+)\.(?:png|dcm)")


def examples() -> list[Example]:
    """A phantom with one lesion, two with two as DICOM files, two drawn here, and a real ultrasound where the host has it."""
    plain = from_assets([PLAIN], "Liver-CT-like phantom, one lesion")
    two = [one for name in MADE for one in from_assets([name], f"{_words(name)}-like phantom, two lesions (DICOM)")]
    real = from_data("busi-subset/images", ["malignant_001.png"], "Breast ultrasound, real")
    return [*plain, *two, *(phantom(family, number) for family, number in SINGLE), *real]


def _words(name: str) -> str:
    return "Liver-CT" if "liver" in name else "Chest-radiograph"


def known(picture: Picture) -> Phantom | None:
    """Everything known of a phantom; None for another picture."""
    found = _NAME.fullmatch(picture.shown.id)
    return _drawn(found[1], int(found[2])) if found else phantom_of(picture)


@lru_cache(maxsize=8)
def _drawn(family: str, number: int) -> Phantom | None:
    from models.mit import examples as made

    count = {(one, place): lesions for one, place, lesions in (made.PLAIN, *made.NUMBERED)}.get((family, number))
    return None if count is None else made.example(family, number, count).phantom


def notes_to_try(picture: Picture) -> list[str]:
    """Notes that agree, contradict or belong elsewhere, about the first lesion where there are several; general ones where nothing is known."""
    drawn = known(picture)
    return note_suggestions(drawn if drawn is None else replace(drawn, lesions=drawn.lesions[:1]))


def label_of(shown: Shown) -> str:
    """What the examples call a picture; "" for another one."""
    return next((one.label for one in examples() if one.id == shown.id), "")


def phrases_to_try(picture: Picture) -> list[str]:
    """A phrase of each kind that can be said of the picture's lesions; general ones where nothing is known."""
    said: dict[str, str] = {}
    for text, one in _phrases(picture).items():
        said.setdefault(one.kind, text)
    return list(said.values()) or list(ANY_PHRASE)


def truth_of_note(picture: Picture, note: str) -> tuple[str, tuple[str, ...]] | None:
    """(verdict, false traits) of a note, where it is known."""
    return note_truth(known(picture), note)


def truth_of_phrase(phrase: str) -> Callable[[Scan], tuple[np.ndarray | None, str]]:
    """For the measures: (what the phrase means, bool (H, W), where that is known from); None where it is not known."""

    def truth(made: Scan) -> tuple[np.ndarray | None, str]:
        meant = _phrases(made.picture).get(" ".join(phrase.lower().split()))
        if meant is None:
            return None, TRUTH
        lesions = known(made.picture).lesions
        return resized_mask(np.logical_or.reduce([lesions[row].mask for row in meant.rows]), made.size), TRUTH

    return truth


def _phrases(picture: Picture) -> Mapping[str, Referral]:
    drawn = known(picture)
    return {} if drawn is None else _every(drawn)


@lru_cache(maxsize=16)
def _every(drawn: Phantom) -> Mapping[str, Referral]:
    from models.mit.examples import every_phrase

    return every_phrase(drawn)
