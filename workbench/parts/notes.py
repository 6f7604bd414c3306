"""Notes beside a picture: which to try, what is true of them where that is known, and what rooms that judge notes call things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.pictures import Picture

if TYPE_CHECKING:
    from models.shared.data.phantoms import Phantom

ANYWHERE = (
    "breast ultrasound: one large hypoechoic spiculated lesion in the left middle zone",
    "breast ultrasound: one small anechoic smooth lesion in the right shallow zone",
    "chest radiograph showing a large dense mass in the left lower zone",
)
VERDICT_WORDS = {"agree": "agrees", "contradict": "contradicts", "unrelated": "is about another picture"}
TRAIT_WORDS = {"side": "side", "zone": "place", "size": "size", "margin": "margin", "density": "brightness"}
MEASURES = {
    "accuracy": "Right verdicts",
    "pair_accuracy": "Agree told from contradict",
    "unseen_accuracy": "Right verdicts on combinations never trained on",
    "shuffled_accuracy": "Right verdicts when each note lies beside another picture",
    "accuracy_over_seeds": "Right verdicts, interval over the trainings",
    "recall_agree": "Agreeing notes recognised",
    "recall_contradict": "Contradicting notes recognised",
    "recall_unrelated": "Unrelated notes recognised",
    "shipped_accuracy": "Right verdicts of the shipped network",
    **{f"wrong_{trait}_found": f"Found when the {words} is false" for trait, words in TRAIT_WORDS.items()},
}
"""Names of the measures in the cards of rooms that judge notes."""
SIDES = "Left and right are the patient's, as in a report: the patient's right is on the left of the picture."


def spoken_verdict(verdict: str) -> str:
    """A verdict as the end of a sentence that begins with "The note"."""
    return VERDICT_WORDS.get(verdict, f"is “{verdict}”")


def phantom_of(picture: Picture) -> Phantom | None:
    """The phantom with everything known about it; None for another picture."""
    if picture.phantom is None:
        return None
    from models.shared.data import phantoms

    return phantoms.sample(picture.phantom.family, picture.phantom.seed, size=picture.phantom.side_px)


def note_suggestions(known: Phantom | None) -> list[str]:
    """Notes to try: on a phantom with one lesion two that are true, two with one false word, one about another picture."""
    import numpy as np

    from models.shared.data.phantoms.notes import note

    if known is None or len(known.lesions) != 1:
        return list(ANYWHERE)
    random = np.random.default_rng([known.seed, 1])
    verdicts = ("agree", "contradict", "agree", "contradict", "unrelated")
    return list(dict.fromkeys(note(known, verdict, random).text for verdict in verdicts))


def note_truth(known: Phantom | None, note: str) -> tuple[str, tuple[str, ...]] | None:
    """(verdict, false traits) of a note, where it is known."""
    from models.shared.data.phantoms.note_reading import truth

    return None if known is None else truth(known, note)


def told_truth(known: tuple[str, tuple[str, ...]], verdict: str) -> str:
    """Markup: what a note truly is, and whether the verdict is right; known as from `note_truth`."""
    told, wrong = known
    false = f" (false: {', '.join(TRAIT_WORDS[one] for one in wrong)})" if wrong else ""
    right = "<span class='lb-good'>right</span>" if told == verdict else "<span class='lb-bad'>wrong</span>"
    return f"In truth it {spoken_verdict(told)}{false}: {right}."
