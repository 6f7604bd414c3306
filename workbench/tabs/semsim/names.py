"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

from models.semsim.plan import ARMS, FIXMATCH, LITERAL, OWN, SUPERVISED, TASKS

SHIPPED = "cardiac"
TASK_CHOICES = [("Heart slices (trained on phantoms)", SHIPPED)]
SHORT = {
    OWN: "SemSim",
    FIXMATCH: "FixMatch",
    SUPERVISED: "Labels alone",
    LITERAL: "SemSim, equations as printed",
    "fixmatch_two": "FixMatch, two strong views",
    "u_intra": "Without the cross-image part",
    "u_cross": "Without the within-image part",
    "intra_cross": "Without FixMatch's own part",
    "semsim_minus": "Plain convolution for the fusion module",
}
COLOURS = {arm: place for place, arm in enumerate(ARMS)}
STRUCTURES = {"RV": "right ventricle", "myocardium": "myocardium", "LV": "left ventricle", "background": "background"}
RGB = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167))
"""Of the structures, in their order: those that the canvas gives them."""
PSEUDO = {
    "p_w": ("1. As it answers", "FixMatch's pseudo-label: the network's own answer."),
    "p1_w": ("2. Spread over similar pixels", "Each pixel also hears the pixels of this picture that look like it."),
    "p2_w": ("3. Asked of labelled slices", "Each pixel is named after the most similar tissue of the labelled slices."),
}
WARNING = (
    "Research use only: nothing here is a diagnosis. The shipped networks learned from made-up heart slices alone, with very few labels; on a real "
    "scan what they outline means nothing. To try the method on real pictures, bring some in the Train drawer."
)
MEASURES = {
    "dice": "Overlap with the true outline (Dice)",
    "dice_over_seeds": "The same, interval over the trainings",
    "hd95": "Outline's distance, 95th percentile",
    "assd": "Outline's mean distance",
    "missed": "Structures missed altogether",
    "shipped_dice": "Dice of the shipped network",
}
LOWER = ("hd95", "assd", "missed")


def labels(counts: dict[str, list[int]]) -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself. counts: task → numbers of labels."""
    arms = {arm: SHORT.get(arm, one.label) for arm, one in ARMS.items()} | {"": SHORT[OWN]}
    tasks = {
        f"{task}{count}": f"{TASKS[task].title[0].upper()}{TASKS[task].title[1:]}, {count} labelled"
        for task, every in counts.items()
        if task in TASKS
        for count in every
    }
    return tasks | arms | MEASURES


def plain(name: str) -> str:
    """A structure in words."""
    return STRUCTURES.get(name, name)
