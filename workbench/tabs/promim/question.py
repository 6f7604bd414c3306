"""What stands in the controls, as one record, and how it becomes what the room is asked. No Gradio, no PyTorch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.promim.arms import ARMS
from models.promim.records import Mask, Options, TaskInfo
from workbench.tabs.promim.names import MEAN_MASKS

if TYPE_CHECKING:
    from workbench.parts.patch_grid import Mask as Painted

MOST_OWN = 16
LONGEST_NAME = 160
_BETWEEN = re.compile(r"[\n;,]+")


@dataclass(frozen=True)
class Question:
    """The controls' values, in the order in which handlers get them."""

    prompts: str
    """"" for the shipped prompts, else the id of the visitor's own training."""
    backbone: str
    task: str
    group: str
    """base, new or own."""
    own: str
    """Class names as typed."""
    sentence: str
    """The hand-written sentence; "" for the task's."""
    ratio: float
    weight: float
    seed: float
    test_mode: str
    hiding: str


def own_names(typed: str) -> tuple[str, ...]:
    """Class names from what was typed, one a line or between commas; ValueError with a sentence where there are not two."""
    found = dict.fromkeys(" ".join(name.split()) for name in _BETWEEN.split(typed or ""))
    names = tuple(name for name in found if name)
    if len(names) < 2:
        raise ValueError("Write at least two different class names, one a line or with commas between them.")
    if len(names) > MOST_OWN:
        raise ValueError(f"At most {MOST_OWN} class names can be compared at once; these are {len(names)}.")
    if long := next((name for name in names if len(name) > LONGEST_NAME), ""):
        raise ValueError(f"The class name “{long[:40]}…” is too long; write it in a few words.")
    return names


def class_names(question: Question, task: TaskInfo) -> tuple[str, ...]:
    """The names to choose among; ValueError with a sentence where there are none."""
    if question.group == "own":
        return own_names(question.own)
    names = task.new if question.group == "new" else task.base
    if not names:
        raise ValueError(f"{task.title} has no new classes; choose its base classes, or write names of your own.")
    return names


def options(question: Question, task: TaskInfo, painted: Painted, patches: int, **more: object) -> Options:
    """What to ask of the room. In "mean" the masks are thrown anew with the painted share; else the painted patches count."""
    hidden = 1 - len(painted.keep) / patches
    mask = Mask(ratio=hidden, sampling=painted.way) if question.test_mode == "mean" else Mask(keep=painted.keep)
    asked = {
        "classes": class_names(question, task),
        "task": task.id,
        "template": question.sentence.strip(),
        "arms": tuple(ARMS),
        "ratio": float(question.ratio),
        "weight": float(question.weight),
        "seed": int(question.seed),
        "mask": mask,
        "test_mode": question.test_mode,
        "masks": MEAN_MASKS,
        "hiding": question.hiding,
    }
    return Options(**(asked | more))
