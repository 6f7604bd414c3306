"""What this tab offers to look at, which requests it suggests, and what is true where that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from models.shared.data import phantoms
from workbench.examples import Example, from_assets, from_data
from workbench.parts.notes import phantom_of
from workbench.pictures import Picture
from workbench.working_scan import Scan, resized_mask

if TYPE_CHECKING:
    from models.shared.backbones.language.tasks import Exchange
    from models.shared.data.phantoms import Phantom

SHIPPED = (
    ("neural_tuning_breast_ultrasound_4.png", ""),
    ("neural_tuning_liver_ct_12.dcm", " (DICOM)"),
    ("neural_tuning_chest_xray_9.dcm", " (DICOM)"),
    ("neural_tuning_brain_mr_6.dcm", " (DICOM)"),
)
"""`python -m models.neural_tuning.examples` draws them. The PNG comes first, as a page that opens with a DICOM file would load pydicom while it is built."""
TRUTH = "what the request means on this phantom"
ANYTHING = {
    "describe": ("describe this picture", "what is seen on this picture?"),
    "outline": ("outline the lesion", "outline all lesions"),
    "reason": ("which lesion is the most suspicious and why? outline it", "how many lesions are there? outline them"),
    "draw": ("draw breast ultrasound: one large hypoechoic spiculated lesion in the left middle zone",),
}
EACH = 2
_NAME = re.compile(r"asset:neural_tuning_([a-z_]+)_(\d+)\.(?:png|dcm)")


def examples() -> list[Example]:
    """Phantoms with one to three lesions, most as DICOM files, and a real ultrasound where the host has it."""
    made = [
        one
        for name, kind in SHIPPED
        for one in from_assets([name], f"{_title(_NAME.fullmatch(f'asset:{name}')[1])}{kind}")
    ]  # fmt: skip
    return [*made, *from_data("busi-subset/images", ["malignant_001.png"], "Breast ultrasound, real")]


def _title(family: str) -> str:
    words = phantoms.title(family)
    return words[0].upper() + words[1:]


def known(picture: Picture) -> Phantom | None:
    """Everything known of a phantom; None for another picture."""
    found = _NAME.fullmatch(picture.shown.id)
    return _drawn(found[1], int(found[2])) if found else phantom_of(picture)


@lru_cache(maxsize=8)
def _drawn(family: str, number: int) -> Phantom | None:
    from models.neural_tuning import examples as made

    count = {(one, place): lesions for one, place, lesions in (made.PLAIN, *made.NUMBERED)}.get((family, number))
    return None if count is None else made.example(family, number, count).phantom


def requests_to_try(picture: Picture) -> Mapping[str, list[str]]:
    """Task → requests of it; general ones where nothing is known of the picture."""
    found: dict[str, list[str]] = {task: [] for task in ANYTHING}
    for one in _exchanges(picture).values():
        if len(found[one.task]) < EACH:
            found[one.task].append(one.request)
    return {task: some or list(ANYTHING[task]) for task, some in found.items()}


def truth_of(picture: Picture, request: str) -> Exchange | None:
    """A true answer to a request, where it is known."""
    return _exchanges(picture).get(_plain(request))


def mask_of(request: str) -> Callable[[Scan], tuple[np.ndarray | None, str]]:
    """For the measures: (all that the request asks to outline, bool (H, W), where that is known from); None where it is not known."""

    def truth(made: Scan) -> tuple[np.ndarray | None, str]:
        asked = truth_of(made.picture, request)
        if asked is None or not asked.objects:
            return None, TRUTH
        lesions = known(made.picture).lesions
        return resized_mask(np.logical_or.reduce([lesions[row].mask for row in asked.objects]), made.size), TRUTH

    return truth


def _exchanges(picture: Picture) -> Mapping[str, Exchange]:
    drawn = known(picture)
    return {} if drawn is None else _every(drawn)


@lru_cache(maxsize=16)
def _every(drawn: Phantom) -> Mapping[str, Exchange]:
    from models.neural_tuning.examples import every_request

    return {_plain(text): one for text, one in every_request(drawn).items()}


def _plain(request: str) -> str:
    return " ".join(request.lower().split())
