"""What this tab calls things, the same in every drawer; and what the card offers to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.self_cleansing.plan import ARMS, KINDS, NONE, SETTINGS, TASKS
from models.shared.checkpoints import Card, CheckpointRefused, read_card
from models.shared.method import Method

Choices = list[tuple[str, str]]
NETWORKS = {
    "liver": "Liver-like slices, turned in training (made-up pictures)",
    "plain": "Liver-like slices, never turned in training (made-up pictures)",
    "busi": "Breast ultrasound (trained on real scans: BUSI)",
}
PLACES = {
    "liver": "Liver-like slices, turned in training (made up)",
    "plain": "Liver-like slices, never turned (made up)",
    "busi": "Breast ultrasound (BUSI, real)",
    "isic": "Skin lesions (ISIC 2018, real)",
}
STRUCTURES = {"tumour": "tumour-like lesion", "cyst": "cyst-like lesion", "lesion": "lesion"}
COLOURS = {
    "clean": 2,
    "noisy": 1,
    "cleansed": 0,
    "guard": 3,
    "sample_gate": 4,
    "pixel_gate": 5,
    "prototypes": 7,
    "both_evidences": 8,
    "no_ema": 9,
}
SHORT = {
    "cleansed": "Cleansed while training (the method)",
    "noisy": "Labels with errors, as they are",
    "clean": "True labels",
    "guard": "True labels, cleansing switched on",
    "sample_gate": "Cleansed by the picture's filter alone",
    "pixel_gate": "Cleansed by the pixel filter alone",
    "prototypes": "Cleansed, new labels from prototypes",
    "both_evidences": "Cleansed, new labels from prediction and prototypes",
    "no_ema": "Cleansed without a teacher",
    "no_augment": "Cleansed, pictures not turned",
    "noisy_no_augment": "Labels with errors, pictures not turned",
}
MODELS = [("Last epoch (L)", "last"), ("Best on validation (B)", "best"), ("Teacher (moving average)", "teacher")]
KIND_CHOICES = [(words[0].upper() + words[1:], kind) for kind, words in KINDS.items()]
WARNING = (
    "Research use only: nothing here is a diagnosis. The liver networks learned from made-up pictures alone, the breast networks from a small part of one "
    "public set (BUSI) with errors planted into its outlines; none has been tested on new patients."
)
MODALITY = {"busi": ("US", "breast ultrasound"), "liver": ("", "made-up liver slices"), "plain": ("", "made-up liver slices")}
MEASURES = {
    "dice_last": "Overlap with the true outline (Dice), last epoch (L)",
    "dice_best": "The same, best epoch (B)",
    "dice_last_over_seeds": "L, interval over the trainings",
    "dice_best_over_seeds": "B, interval over the trainings",
    "hd95_last": "Outline's distance, 95th percentile (L)",
    "missed_last": "Structures missed altogether (L)",
    "label_dice_before": "Dice of the training labels as given",
    "label_dice_after": "Dice of the training labels after cleansing",
    "picture_auroc": "Wrong labels of pictures found (AUROC)",
    "pixel_auroc": "Wrong pixels found (AUROC)",
    "flip_precision": "Changed pixels that are right now",
    "flip_recall": "Wrong pixels that were put right",
    "shipped_dice_last": "Dice of the shipped network, L",
    "shipped_dice_best": "Dice of the shipped network, B",
    "shipped_dice_teacher": "Dice of the shipped teacher",
}
LOWER = ("hd95", "missed")


def setting_words(setting: str) -> str:
    """A setting in plain words."""
    noise = SETTINGS.get(setting)
    if noise is None:
        return "true labels" if setting == NONE else "labels as they were brought"
    return f"{KINDS[noise.kind]}, in {noise.alpha:.0%} of the pictures"


def card_of(method: Method) -> Card | None:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(Path(method.card))
    except (FileNotFoundError, CheckpointRefused):
        return None


def tasks_of(card: Card | None) -> dict[str, Any]:
    """Task → its facts, as far as weights ship."""
    return dict(card.extra["tasks"]) if card else {}


def network_choices(card: Card | None) -> Choices:
    """(label, task) of the shipped tasks."""
    return [(NETWORKS.get(task, facts["title"]), task) for task, facts in tasks_of(card).items()]


def setting_choices(facts: dict[str, Any] | None, *, recorded: bool = False) -> Choices:
    """(label, setting) of a task's settings. recorded: those with a cleansed training alone."""
    arms = (facts or {}).get("arms", {})
    return [(_capital(setting_words(one)), one) for one in arms if not recorded or "cleansed" in arms[one]]


def arm_choices(facts: dict[str, Any] | None, setting: str) -> Choices:
    """(label, arm) of a setting's networks, the method first."""
    arms = list((facts or {}).get("arms", {}).get(setting, {}))
    return [(SHORT.get(arm, arm), arm) for arm in sorted(arms, key=lambda arm: (arm != "cleansed", arms.index(arm)))]


def place_choices(card: Card | None) -> Choices:
    """(label, "task/setting") of the made-up trainings that cleanse and can be watched."""
    words = {"liver": "pictures turned while training", "plain": "pictures never turned"}
    return [
        (f"{label}; {words.get(task, task)}", f"{task}/{setting}")
        for task, facts in tasks_of(card).items()
        if facts["kind"] == "phantom"
        for label, setting in setting_choices(facts, recorded=True)
    ]


def default_place(card: Card | None) -> str:
    """The training that is shown first."""
    found = [place for _, place in place_choices(card)]
    return next((one for one in ("plain/missing-30", "liver/asymmetric-30") if one in found), found[0] if found else "")


def watched_arms(card: Card | None, place: str) -> Choices:
    """(label, arm) of a place's trainings whose labels were looked at to the end, the method first."""
    task, _, setting = place.partition("/")
    kept = card.extra["final"] if card else {}
    return [(label, arm) for label, arm in arm_choices(tasks_of(card).get(task), setting) if f"{place}/{arm}" in kept]


def default_setting(facts: dict[str, Any] | None) -> str:
    """The one shown first: a rate of 30 % where there is one."""
    found = [setting for _, setting in setting_choices(facts, recorded=True)]
    return next((one for one in ("missing-30", "asymmetric-30", "asymmetric-50") if one in found), found[0] if found else "")


def labels() -> dict[str, str]:
    """Names for places, measures and arms as they stand in the card's metric names; '' is the method itself."""
    places = {f"{task.id}-{setting}": f"{PLACES[task.id]}: {setting_words(setting)}" for task in TASKS.values() for setting in SETTINGS}
    return places | {arm.id: SHORT[arm.id] for arm in ARMS.values()} | {"": SHORT["cleansed"]} | MEASURES


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
