"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

from models.hsvlt.findings import BUCKETS, FINDINGS
from models.hsvlt.plan import ARMS, OWN, TASKS
from models.hsvlt.record import METHOD
from models.shared.checkpoints import Card, CheckpointRefused, read_card

SHORT = {
    "full": "HSVLT",
    "stage_4": "Last scale alone",
    "stages_34": "Last two scales",
    "random_labels": "Labels without words",
    "ngram_labels": "Labels from spelling",
    "text_to_vision": "Words write back",
    "visual_only": "No product with the words",
    "no_gate": "No gate",
    "topdown": "Decoder along the list",
    "asl": "Asymmetric loss",
}
SCALES = (1, 2, 3, 4)
WARNING = (
    "Research use only: nothing here is a diagnosis. The network learned from made-up chest pictures alone. On a real picture it shows how the method "
    "works, not what a patient has."
)
BUCKET_WORDS = {
    "smallest": "the smallest findings",
    "small": "small findings",
    "middle": "middle-sized findings",
    "largest": "the largest findings",
}
MEASURES = {
    "map": "Ranking of the findings (mean average precision)",
    "map_over_seeds": "The same, interval over the trainings",
    "of1": "F1 of all decisions at one half",
    "pointing": "The strongest look lies on the finding",
    "shipped_map": "Mean average precision of the shipped network",
    **{f"map_{bucket}": f"Mean average precision, {BUCKET_WORDS[bucket]}" for bucket in BUCKETS},
    **{f"ap_{name.replace(' ', '_')}": f"Average precision, {name}" for name in FINDINGS},
}


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label}
    return {task.id: task.title for task in TASKS.values()} | arms | MEASURES


def card() -> Card | None:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(METHOD.card)
    except (FileNotFoundError, CheckpointRefused):
        return None


def arm_choices() -> list[tuple[str, str]]:
    """(label, id) of the networks that ship."""
    known = card()
    return [(SHORT[arm], arm) for arm in ARMS if known is None or arm in known.extra["arms"]]
