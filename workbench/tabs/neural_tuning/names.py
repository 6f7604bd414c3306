"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

from models.neural_tuning.config import Config
from models.neural_tuning.plan import ARMS, OWN
from models.neural_tuning.record import METHOD
from models.shared.checkpoints import Card, CheckpointRefused, read_card

STRUCTURE = "lesion"
DEPTH = 4
"""Layers of the small language model."""
TRAINED = Config()
LAYERS = tuple(place + 1 for place in TRAINED.layers(DEPTH))
"""Layers with neurons, as people count them."""
TASK_WORDS = {"describe": "Describe", "outline": "Outline", "reason": "Reason and outline", "draw": "Draw"}
SHORT = {
    "full": "Neural Tuning",
    "stn_off": "Without neurons",
    "probe": "Linear probe",
    "alpha_0": "No memory over depth",
    "dense": "All neurons active",
    "kv": "Keys and values guided",
    "qkv": "Queries, keys and values guided",
    "zero_init": "Begun as the frozen model",
}
WARNING = (
    "Research use only: nothing here is a diagnosis. The networks learned from made-up pictures with short made-up requests, and which margin counts as "
    "suspicious is a rule of this demonstration. On a real scan they show how the method works, not what the scan shows."
)
NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."
MEASURES = {
    "tokens": "Right words of given answers",
    "traits": "Traits right in descriptions it writes",
    "exact_traits": "Descriptions with every trait right",
    "miou": "Overlap with what is meant (mean IoU)",
    "oiou": "Overlap of all pixels together (overall IoU)",
    "right_object": "Outlines that lie on the lesion meant",
    "precision_50": "Outlines with IoU above 0.5",
    "precision_70": "Outlines with IoU above 0.7",
    "precision_90": "Outlines with IoU above 0.9",
    "written_number_right": "Answers with as many outlines as there should be",
    "written_objects_right": "Answers with every outline on the lesion meant",
    "mae": "Distance of the drawn feature (mean absolute)",
    "cosine": "Cosine of the drawn feature and the true one",
    "farther": "Other pictures the drawn feature is farther from",
    "grey_error": "Error of the painter's grey levels",
}
PARTS = {"unseen_": "combinations never trained on", "swapped_": "shown another picture", "shipped_": "the shipped network"}
LOWER = ("mae", "unseen_mae", "grey_error", "swapped_")


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label}
    baselines = {"all_lesions": "every true lesion outlined", "mean_picture": "the mean training picture", "painter": "the small painter"}
    variants = {f"{part}{name}": f"{words}; {said}" for part, said in PARTS.items() for name, words in MEASURES.items()}
    seeds = {f"{name}_over_seeds": f"{words}; interval over the trainings" for name, words in MEASURES.items()}
    return TASK_WORDS | {"painting": "Paint"} | arms | baselines | MEASURES | variants | seeds


def card() -> Card | None:
    """The room's card, or None where there is none that can be trusted."""
    try:
        return read_card(METHOD.card)
    except (FileNotFoundError, CheckpointRefused):
        return None


def arms() -> list[str]:
    """The networks that ship, or all of the study where none does."""
    known = card()
    return [arm for arm in ARMS if known is None or arm in known.extra["networks"]]


def arm_choices() -> list[tuple[str, str]]:
    """(label, id) of the networks."""
    return [(SHORT[arm], arm) for arm in arms()]


def neuron_choices() -> list[tuple[str, str]]:
    """(label, id) of every neuron; id: place among the layers with neurons, neuron from 0."""
    return [(spoken(place, neuron), f"{place}:{neuron}") for place in range(len(LAYERS)) for neuron in range(TRAINED.neurons)]


def spoken(place: int, neuron: int) -> str:
    """A neuron as people count."""
    return f"layer {LAYERS[place]}, neuron {neuron + 1}"


def read_neuron(id: object) -> tuple[int, int] | None:
    """The inverse of a choice's id; None for what is none."""
    place, _, neuron = str(id or "").partition(":")
    if not (place.isdigit() and neuron.isdigit() and int(place) < len(LAYERS) and int(neuron) < TRAINED.neurons):
        return None
    return int(place), int(neuron)
