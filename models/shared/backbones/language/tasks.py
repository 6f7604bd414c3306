"""Requests with their answers about a phantom: describe it, outline a lesion, reason and outline, draw. The four tasks of Neural Tuning. NumPy alone.

Wordings and the rule by which a margin counts as more suspicious are ours, for demonstration (inferred); no clinical truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.shared.backbones.language.referring import order_words, orders, refer
from models.shared.data.phantoms.generate import drawer_of
from models.shared.data.phantoms.records import Lesion, Phantom
from models.shared.data.phantoms.words import phrase

TASKS = ("describe", "outline", "reason", "draw")
SUSPICION = ("meniscus-shaped", "sharp-edged", "smooth", "lobulated", "ill-defined", "spiculated")
"""Margins, the more suspicious later (inferred)."""
_DESCRIBE = (
    "describe this picture", "describe this {m}", "what does this {m} show?", "what is seen on this picture?", "write a caption for this picture",
    "report this {m}", "which findings are there?", "tell me what you see", "give the findings of this {m}",
)  # fmt: skip
_OUTLINE = (
    "outline {p}", "mark {p}", "show me {p}", "segment {p}", "where is {p}?", "please outline {p} on this {m}", "draw the border of {p}", "find {p}",
)  # fmt: skip
_OUTLINED = ("here is the outline of {p}", "this is {p}", "{p} is outlined", "here it is", "the outline is shown", "{p} is marked")
_DRAW = (
    "draw {c}", "draw this: {c}", "make a picture of {c}", "show what this would look like: {c}", "create a picture: {c}", "imagine {c} and draw it",
)  # fmt: skip
_DRAWN = ("here is the picture", "this is the picture", "here is a picture of it", "the picture is drawn", "it could look like this")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    task: str
    """One of TASKS."""
    request: str
    answer: str
    objects: tuple[int, ...] = ()
    """Numbers of the phantom's lesions that the answer outlines, each once, in the order in which it speaks of them."""

    @property
    def text(self) -> str:
        """Both in the wrapper that the small model was trained on."""
        return f"{asked(self.request)} {self.answer}"


def asked(request: str) -> str:
    """A request in its wrapper, up to where the answer begins."""
    return f"request: {request} answer:"


def exchange(phantom: Phantom, task: str, random: np.random.Generator) -> Exchange:
    """A request of the task about a phantom, with its answer. ValueError for an unknown task. Pixels are not looked at."""
    modality = drawer_of(phantom.family).FAMILY.modality

    def pick(options: Sequence[str]) -> str:
        return options[int(random.integers(len(options)))]

    if task == "describe":
        return Exchange(task, pick(_DESCRIBE).format(m=modality), pick(phantom.captions))
    if task == "draw":
        return Exchange(task, pick(_DRAW).format(c=pick(phantom.captions)), pick(_DRAWN))
    if task not in TASKS:
        raise ValueError(f"There is no task {task!r}; there are {', '.join(TASKS)}.")
    if not phantom.lesions:
        words = "outline the lesion" if task == "outline" else "which lesion is the most suspicious? outline it"
        return Exchange(task, words, pick(("there is nothing to outline", f"there is no lesion on this {modality}")))
    if task == "outline":
        said = refer(phantom.lesions, random)
        return Exchange(task, pick(_OUTLINE).format(p=said.text, m=modality), pick(_OUTLINED).format(p=said.text), said.rows)
    return _reason(phantom.lesions, modality, random)


def _reason(lesions: Sequence[Lesion], modality: str, random: np.random.Generator) -> Exchange:
    """A question whose answer must be found in the picture: which is larger, which more suspicious and why, how many."""
    options = ["count", "suspicious", *(["order"] if orders(lesions) else [])]
    chosen = str(random.choice(options))
    every = tuple(range(len(lesions)))
    if chosen == "count":
        number = ("one lesion", "two lesions", "three lesions")[len(lesions) - 1]
        shown = "it is outlined" if len(lesions) == 1 else "they are outlined"
        listed = " and ".join(phrase(one) for one in lesions)
        request = str(random.choice(["how many lesions are there? outline them", f"count the lesions on this {modality} and outline them"]))
        return Exchange("reason", request, f"there {'is' if len(lesions) == 1 else 'are'} {number}: {listed}. {shown}", every)
    if chosen == "order":
        known = orders(lesions)
        order = str(random.choice(sorted(known)))
        row, word = known[order], str(random.choice(order_words(order, len(lesions))))
        request = str(random.choice(["which lesion is {w}? outline it", "find the {w} lesion, tell me where it is and outline it"])).format(
            w=word
        )
        than = "the other" if len(lesions) == 2 else "the others"
        compare = "larger" if order == "largest" else "smaller"
        return Exchange("reason", request, f"{phrase(lesions[row])}, because it is {compare} than {than}", (row,))
    row = most_suspicious(lesions)
    request = str(
        random.choice(["which lesion is the most suspicious and why? outline it", "what should be looked at first and why? outline it"])
    )
    margin = lesions[row].margin
    return Exchange("reason", request, f"{phrase(lesions[row])}, because its margin is {margin} and its size {lesions[row].size}", (row,))


def most_suspicious(lesions: Sequence[Lesion]) -> int:
    """Number of the lesion with the most suspicious margin; of equal ones the largest."""
    return max(range(len(lesions)), key=lambda row: (SUSPICION.index(lesions[row].margin), lesions[row].diameter_mm))
