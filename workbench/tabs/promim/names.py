"""Plain names, colours and examples of the ProMIM tab."""

from __future__ import annotations

from models.promim.arms import ARMS
from models.promim.records import TEST_MODES
from models.promim.tasks import TASKS
from workbench.examples import Example, phantom

COLOURS = {"clip": 6, "coop": 1, "cocoop": 2, "kgcoop": 3, "promim": 0}
"""Places in the page's colour-blind-safe set, the same in every chart of the tab."""

GROUPS = {
    "base": "Base classes (prompts were learned on them)",
    "new": "New classes (never learned)",
    "own": "Your own words",
}
MODES = {"fixed": "One mask", "full": "Whole picture", "mean": "Mean over 8 masks"}
HIDINGS = {"drop": "Left out of the network (the method)", "grey": "Painted grey (ours, to compare)"}
MEAN_MASKS = 8
STABILITY_MASKS = 32
NEAR_WORDS = 3

CLINICIAN = (
    "A class description is worked out for each picture anew, so two patients are compared with two slightly different descriptions. "
    "The percentages only compare the class names offered: they add up to 100 % even when none of them fits. Research use only."
)


def arm_title(arm: str) -> str:
    """An arm as it stands over a column."""
    return ARMS[arm].title


def mode_hint(mode: str) -> str:
    """What a test-time mode does."""
    return TEST_MODES[mode]


def task_choices() -> list[tuple[str, str]]:
    """Sets of classes for a dropdown: (title, id)."""
    return [(f"{task.title} (phantoms)", task.id) for task in TASKS.values()]


def task_of_family(family: str) -> str | None:
    """The set of classes that belongs to a phantom family, if there is one."""
    return next((task.id for task in TASKS.values() if task.family == family), None)


# Test and unseen phantoms, never trained on, each with one lesion whose combination is a class of its task (tests hold this).
_PICKED = (
    ("brain_mr", 35, "test", "Brain-MR-like phantom, a base class"),
    ("brain_mr", 4, "unseen", "Brain-MR-like phantom, a new class"),
    ("chest_xray", 102, "test", "Chest-like phantom, a base class"),
    ("chest_xray", 29, "unseen", "Chest-like phantom, a new class"),
    ("breast_ultrasound", 31, "test", "Breast-ultrasound-like phantom, a base class"),
    ("breast_ultrasound", 11, "unseen", "Breast-ultrasound-like phantom, a new class"),
)


def examples() -> list[Example]:
    """The phantoms to begin with; the first is there on first open."""
    return [Example(phantom(family, number, split=split).id, label) for family, number, split, label in _PICKED]
