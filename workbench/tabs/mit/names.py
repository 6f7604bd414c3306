"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

from dataclasses import replace

from models.mit.config import Config
from models.mit.plan import ARMS, OWN, TASKS
from models.mit.record import METHOD
from models.shared.checkpoints import Card, CheckpointRefused, read_card
from workbench.parts.notes import MEASURES as NOTE_MEASURES

NOTES, OUTLINE = "notes", "outline"
STRUCTURE = "lesion"
SHORT = {
    "full": "MiT",
    "off": "Text alone",
    "paper": "Printed form",
    "identity": "Begun as the frozen model",
    "no_rescale": "Without gates",
    "keys": "Keys alone",
    "values": "Values alone",
    "ffn": "Feed-forward units alone",
    "last": "Last layer alone",
    "every": "All four layers",
    "tokens": "Patches as tokens",
}
PARTS = (("Keys", "keys"), ("Values", "values"), ("Feed-forward units", "ffn"))
TERMS = (("Learned L", "learned"), ("Cosine", "cosine"))
LAYERS = (1, 2, 3, 4)
"""Of the small language model, as people count them."""
WARNING = (
    "Research use only: nothing here is a diagnosis. The networks learned from made-up pictures with short made-up notes and phrases. On a real scan they "
    "show how the method works, not whether a report is right or where a lesion is."
)
NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."
MEASURES = {
    "miou": "Overlap with what the phrase means (mean IoU)",
    "miou_over_seeds": "The same, interval over the trainings",
    "oiou": "Overlap of all pixels together (overall IoU)",
    "precision_50": "Phrases answered with IoU above 0.5",
    "unseen_miou": "Mean IoU on combinations never trained on",
    "swapped_miou": "Mean IoU when told of another picture",
    "miou_relational": "Mean IoU, phrases that depend on the other lesions",
    "miou_plain": "Mean IoU, all other phrases",
    "miou_place": "Mean IoU, phrases by place",
    "miou_looks": "Mean IoU, phrases by looks",
    "miou_both": "Mean IoU, phrases by place and looks",
    "miou_order": "Mean IoU, phrases with an order (the larger one)",
    "miou_other": "Mean IoU, phrases of what is not meant",
    "miou_all": "Mean IoU, phrases that mean all lesions",
    "shipped_miou": "Mean IoU of the shipped network",
}
LOWER = ("swapped_miou", "shuffled_accuracy")
IGNORING = "all_lesions"


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label, IGNORING: "every true lesion, the words ignored"}
    return {task.id: task.title for task in TASKS.values()} | arms | NOTE_MEASURES | MEASURES


def card() -> Card | None:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(METHOD.card)
    except (FileNotFoundError, CheckpointRefused):
        return None


def arms(task: str) -> list[str]:
    """The networks that answer a task: those that ship, or all of the study where none does."""
    known = card()
    asked = TASKS[task].arms
    return [arm for arm in asked if known is None or arm in known.extra["networks"].get(task, {})]


def arm_choices() -> list[tuple[str, str]]:
    """(label, id) of the networks that answer anything."""
    some = {*arms(NOTES), *arms(OUTLINE)}
    return [(SHORT[arm], arm) for arm in ARMS if arm in some]


def twin(task: str, config: Config) -> str:
    """The shipped network that was trained with exactly these settings; "" where none was."""
    return next((arm for arm in arms(task) if replace(Config(), **ARMS[arm].change) == config), "")
