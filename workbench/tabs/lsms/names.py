"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

import os
from pathlib import Path

from models.lsms.plan import ARMS, OWN
from models.lsms.record import METHOD
from models.shared.checkpoints import Card, CheckpointRefused, read_card

SHORT = {
    "full": "LSMS",
    "no_language": "No language",
    "no_scale": "One kernel size",
    "no_fsd": "Plain decoder",
    "hamburger": "Matrix-factorisation decoder",
    "no_contrast": "No pixel–sentence contrast",
    "no_coords": "Not told where a pixel lies",
    "lang_per_branch": "Language for each kernel size",
    "no_emptiness": "No harder look at empty targets",
    "no_none": "Never taught “there is none”",
}
STRUCTURE = "lesion"
WARNING = (
    "Research use only: nothing here is a diagnosis. The network learned from made-up slices of a liver alone. On a real scan it shows what the method "
    "does, not where a lesion is."
)
SIDES = "Left and right are the patient's, as in a report: the patient's right is on the left of the picture."
MEASURES = {
    "miou": "Overlap with what the phrase means (mean IoU)",
    "miou_over_seeds": "The same, interval over the trainings",
    "oiou": "Overlap of all pixels together (overall IoU)",
    "dice": "Overlap (mean Dice)",
    "hd95": "Outline's distance, 95th percentile",
    "assd": "Outline's mean distance",
    "empty_accuracy": "Says rightly that nothing fits the phrase",
    "shuffled_miou": "Overlap when asked another slice's phrase",
    "reworded_change": "Change of Dice with other words of the same meaning",
    "mirror_agreement": "Mirrored slice, mirrored phrase: same answer (IoU)",
    "clash": "Answers to two phrases of different lesions overlap (IoU)",
    "shipped_miou": "Mean IoU of the shipped network",
    "shipped_empty_accuracy": "Says rightly that nothing fits, shipped network",
    **{f"precision_{t}": f"Phrases answered with IoU above 0.{t // 10}" for t in (50, 60, 70, 80, 90)},
    **{
        f"miou_{kind}": f"Mean IoU, {words}"
        for kind, words in {
            "side": "phrases by side", "zone": "phrases by upper and lower part", "size": "phrases by size", "appearance": "phrases by appearance",
            "order": "phrases with an order (largest, leftmost)", "count": "phrases with a number", "several": "phrases with several traits",
        }.items()
    },
}  # fmt: skip
LOWER = ("hd95", "assd", "reworded_change", "clash", "shuffled_miou")
IGNORING = "every_lesion"


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label, IGNORING: "every true lesion, the words ignored"}
    return {"phrases": "Phrases on made-up liver slices"} | arms | MEASURES


def card(path: Path | None = None) -> Card | None:
    """The room's card or that of `path`, or None where there is none that can be trusted."""
    try:
        return read_card(path or METHOD.card)
    except (FileNotFoundError, CheckpointRefused):
        return None


def arm_choices() -> list[tuple[str, str]]:
    """(label, id) of the networks that can answer: those that ship, or those of the host's own file."""
    own = os.environ.get("WORKBENCH_LSMS")
    known = card(Path(own) if own else None)
    return [(SHORT[arm], arm) for arm in ARMS if known is None or arm in known.extra["arms"]]
