"""Phrases that refer to lesions of a slice, with the lesions they mean; and what the screen offers beside them. NumPy alone.

A phrase names lesions by side, part, size, appearance, order or count, in several wordings; some name what is not there. The grammar is ours: the
template of the paper's own set is not known (spec §3.1). Sides are the patient's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.lsms.abdomen import DENSITIES, LOBES, PARTS, SIZES, Slice

KINDS = ("side", "zone", "size", "appearance", "order", "count", "several", "none")
"""What decides a phrase: one trait, an order, a count, several traits together, or nothing that is there."""
MAX_WORDS = 14
_SAME = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "sizeable"),
    "hypodense": ("hypodense", "dark", "low-density"),
    "hyperdense": ("hyperdense", "bright", "high-density"),
    "lesion": ("lesion", "mass", "nodule"),
}
_ORDERS = {
    "largest": ("largest", "biggest"),
    "smallest": ("smallest", "tiniest"),
    "uppermost": ("uppermost", "highest"),
    "lowermost": ("lowermost", "lowest"),
    "rightmost": ("rightmost",),
    "leftmost": ("leftmost",),
    "larger": ("larger", "bigger"),
    "smaller": ("smaller",),
}
_OPPOSITE = {
    "right": "left",
    "upper": "lower",
    "small": "large",
    "hypodense": "hyperdense",
    "largest": "smallest",
    "uppermost": "lowermost",
}
_OPPOSITE |= {"rightmost": "leftmost", "larger": "smaller", "dark": "bright", "little": "big", "tiny": "big", "sizeable": "small"}
_OPPOSITE |= {"biggest": "smallest", "highest": "lowest", "bigger": "smaller", "low-density": "high-density", "tiniest": "biggest"}
OPPOSITE = {**{right: left for left, right in _OPPOSITE.items()}, **_OPPOSITE}
_GLUE = (
    "the", "a", "any", "all", "both", "every", "two", "three", "four", "of", "in", "on", "at", "with", "lobe", "part", "liver", "side", "lesions", "masses",
    "nodules", "patient's", "and", "that", "is",
)  # fmt: skip
VOCABULARY = tuple(
    dict.fromkeys(
        [
            *_GLUE,
            *LOBES,
            *PARTS,
            *(word for words in _SAME.values() for word in words),
            *(word for words in _ORDERS.values() for word in words),
        ]
    )
)
PAD, UNKNOWN = 0, 1
_NUMBER = {word: number for number, word in enumerate(VOCABULARY, 2)}
_WORD = {number: word for word, number in _NUMBER.items()}
_PLURAL = {"lesion": "lesions", "mass": "masses", "nodule": "nodules"}
_ADJECTIVES = {word for value in (*SIZES, *DENSITIES) for word in _SAME[value]}
_COUNTS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Phrase:
    """A phrase and what it means on one slice."""

    text: str
    rows: tuple[int, ...]
    """Numbers of the lesions meant; none for what is not there."""
    kind: str
    """One of KINDS."""


def words_of(text: str) -> list[str]:
    """A phrase as lower-case words, MAX_WORDS at most; hyphens and apostrophes stay."""
    return re.findall(r"[a-z][a-z'-]*", text.lower().replace("’", "'"))[:MAX_WORDS]


def tokens(texts: Sequence[str]) -> np.ndarray:
    """int64 (N, T): word numbers, padded with 0; 1 stands for an unknown word. An empty phrase becomes one unknown word."""
    rows = [[_NUMBER.get(word, UNKNOWN) for word in words_of(text)] or [UNKNOWN] for text in texts]
    found = np.full((len(rows), max(map(len, rows), default=1)), PAD, np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def texts_of(rows: Sequence[Sequence[int]]) -> list[str]:
    """Phrases from their word numbers, padding left out."""
    return [" ".join(_WORD.get(number, "thing") for number in row if number != PAD) for row in rows]


def unknown_words(text: str) -> list[str]:
    """Words of a phrase that the shipped text encoder has never met, each once."""
    return list(dict.fromkeys(word for word in words_of(text) if word not in _NUMBER))


def counterfactuals(text: str) -> list[tuple[str, str, str]]:
    """(word, its opposite, the phrase with it swapped) for each word that has one."""
    found = words_of(text)
    return [
        (word, OPPOSITE[word], " ".join([*found[:place], OPPOSITE[word], *found[place + 1 :]]))
        for place, word in enumerate(found)
        if word in OPPOSITE
    ]


def mirrored(text: str) -> str:
    """The phrase for the picture mirrored left to right."""
    swap = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}
    return " ".join(swap.get(word, word) for word in words_of(text))


def reworded(text: str, random: np.random.Generator) -> str:
    """The same phrase in other words of the same meaning, with its adjectives in another order."""
    groups = [*_SAME.values(), *_ORDERS.values(), tuple(_PLURAL.values())]
    said = []
    for word in words_of(text):
        group = next((group for group in groups if word in group), (word,))
        said.append(str(random.choice(group)))
    places = [place for place, word in enumerate(said) if word in _ADJECTIVES]
    for place, word in zip(places, random.permutation([said[place] for place in places]), strict=True):
        said[place] = str(word)
    return " ".join(said)


def phrases(shown: Slice, random: np.random.Generator, *, none: float = 0.25, n: int = 2) -> list[Phrase]:
    """`n` phrases for a slice, about the share `none` of them of what is not there. A slice without lesions gets those alone."""
    found = []
    for _ in range(n):
        absent = not shown.lesions or random.random() < none
        found.append((_none(shown, random) if absent else None) or _some(shown, random))
    return found


def every_phrase(shown: Slice) -> list[Phrase]:
    """Plain wordings of what can be said of a slice, for suggestions: each lesion once, orders, counts, and one that is not there."""
    random = np.random.default_rng(0)
    said = [
        Phrase(
            f"the {one.size} {one.density} lesion in the {one.part} part of the {one.lobe} lobe",
            _matching(shown, one.size, one.density, one.lobe, one.part),
            "several",
        )
        for one in shown.lesions
    ]
    if len(shown.lesions) > 1:
        said += [
            Phrase(f"the {word} lesion", (_extreme(shown, word, range(len(shown.lesions))),), "order")
            for word in ("largest", "leftmost", "uppermost")
            if _clear(shown, word, range(len(shown.lesions)))
        ]
        said.append(Phrase("all lesions", tuple(range(len(shown.lesions))), "count"))
    said += [Phrase(f"the lesions in the {lobe} lobe", rows, "side") for lobe in LOBES if (rows := _matching(shown, lobe=lobe))]
    absent = _none(shown, random, plain=True)
    return list(dict.fromkeys([*said, *([absent] if absent else [])]))


# ---------------------------------------------------------------------- inside
def _matching(shown: Slice, size: str = "", density: str = "", lobe: str = "", part: str = "") -> tuple[int, ...]:
    wanted = {"size": size, "density": density, "lobe": lobe, "part": part}
    return tuple(
        row for row, one in enumerate(shown.lesions) if all(not value or getattr(one, name) == value for name, value in wanted.items())
    )


_KEYS = {
    "largest": lambda one: -float(np.log(one.pixels)),
    "larger": lambda one: -float(np.log(one.pixels)),
    "smallest": lambda one: float(np.log(one.pixels)),
    "smaller": lambda one: float(np.log(one.pixels)),
    "uppermost": lambda one: one.centre[0],
    "lowermost": lambda one: -one.centre[0],
    "rightmost": lambda one: one.centre[1],  # the patient's right is the picture's left
    "leftmost": lambda one: -one.centre[1],
}
_PAIRWISE = ("larger", "smaller")
"""Of two lesions alone."""
_AHEAD = {"size": float(np.log(1.25)), "place": 0.05}
"""By how much the first of an order must be ahead of the second: a quarter of the area, or a twentieth of the picture's side."""


def _extreme(shown: Slice, order: str, rows: Sequence[int]) -> int:
    return min(rows, key=lambda row: _KEYS[order](shown.lesions[row]))


def _clear(shown: Slice, order: str, rows: Sequence[int]) -> bool:
    """Whether there is more than one candidate and no near tie, so that an order is never a matter of taste."""
    values = sorted(_KEYS[order](shown.lesions[row]) for row in rows)
    return len(values) > 1 and values[1] - values[0] >= _AHEAD["place" if order.endswith("most") else "size"]


def _said(traits: dict[str, str], random: np.random.Generator, *, plural: bool, lead: str = "the", plain: bool = False) -> str:
    """Words for traits: "the small dark lesion in the right lobe"."""
    pick = (lambda group: group[0]) if plain else (lambda group: str(random.choice(group)))
    noun = pick(_SAME["lesion"])
    front = [pick(_SAME[traits[name]]) for name in ("size", "density") if traits.get(name)]
    if not plain and len(front) == 2 and random.random() < 0.5:
        front.reverse()
    place = []
    if traits.get("part") and traits.get("lobe"):
        place = ["in", "the", traits["part"], "part", "of", "the", traits["lobe"], "lobe"]
    elif traits.get("part"):
        place = ["in", "the", traits["part"], "part"]
    elif traits.get("lobe"):
        place = ["in", "the", traits["lobe"], "lobe"] if plain or random.random() < 0.7 else ["on", "the", traits["lobe"], "side"]
    return " ".join([lead, *front, _PLURAL[noun] if plural else noun, *place])


def _some(shown: Slice, random: np.random.Generator) -> Phrase:
    everything = tuple(range(len(shown.lesions)))
    kind = str(random.choice(["side", "zone", "size", "appearance", "order", "order", "count", "several", "several"]))
    one = shown.lesions[int(random.integers(len(shown.lesions)))]
    if kind == "count":
        if len(everything) < 2 or random.random() < 0.5:
            lead = "all" if random.random() < 0.5 else "all the"
            return Phrase(_said({}, random, plural=True, lead=lead), everything, kind)
        traits = {name: getattr(one, name) for name in [str(random.choice(["size", "density", "lobe", "part"]))]}
        rows = _matching(shown, **traits)
        if len(rows) > 1:
            lead = "both" if len(rows) == 2 and random.random() < 0.5 else f"the {_COUNTS[len(rows)]}"
            return Phrase(_said(traits, random, plural=True, lead=lead), rows, kind)
        return Phrase(_said({}, random, plural=True, lead=f"the {_COUNTS[len(everything)]}"), everything, kind)
    if kind == "order":
        traits = {} if random.random() < 0.5 else {name: getattr(one, name) for name in [str(random.choice(["density", "lobe"]))]}
        rows = _matching(shown, **traits)
        for among in (rows, everything):
            orders = [order for order in _ORDERS if _clear(shown, order, among) and (order not in _PAIRWISE or len(among) == 2)]
            if orders:
                order = str(random.choice(orders))
                lead = f"the {random.choice(_ORDERS[order])}"
                words = _said(traits if among is rows else {}, random, plural=False, lead=lead)
                return Phrase(words, (_extreme(shown, order, among),), kind)
        kind = "several"
    names = {"side": ["lobe"], "zone": ["part"], "size": ["size"], "appearance": ["density"]}.get(kind)
    if names is None:
        names = [str(name) for name in random.permutation(["size", "density", "lobe", "part"])[: int(random.integers(2, 5))]]
    traits = {name: getattr(one, name) for name in names}
    rows = _matching(shown, **traits)
    return Phrase(_said(traits, random, plural=len(rows) > 1), rows, kind)


def _none(shown: Slice, random: np.random.Generator, *, plain: bool = False) -> Phrase | None:
    """A phrase of what is not there; None when everything is.

    Where the slice has lesions, a phrase that fits one of them is turned false in one trait or two: so it has the form of a true phrase, and its length
    tells nothing about whether it is true.
    """
    values = {"size": SIZES, "density": DENSITIES, "lobe": LOBES, "part": PARTS}
    for _ in range(24):
        kind = str(random.choice(["lobe", "part", "size", "density", "several", "several"]))
        names = [kind] if kind in values else [str(name) for name in random.permutation(list(values))[: int(random.integers(2, 5))]]
        traits = {name: str(random.choice(values[name])) for name in names}
        if shown.lesions:
            one = shown.lesions[int(random.integers(len(shown.lesions)))]
            traits = {name: getattr(one, name) for name in names}
            for name in random.permutation(names)[: int(random.integers(1, 3))]:
                traits[str(name)] = next(value for value in values[str(name)] if value != traits[str(name)])
        if not _matching(shown, **traits):
            return Phrase(_said(traits, random, plural=bool(random.random() < 0.2), plain=plain), (), "none")
    return None
