"""Reading a note back: which of its words say a trait, what else could stand there, and whether it is true of a phantom.

It knows the words of the phantoms alone. What people write freely may hold others; these are named, and then no verdict is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from models.shared.data.phantoms.facts import Family
from models.shared.data.phantoms.generate import drawer_of, names
from models.shared.data.phantoms.notes import TRAITS, UNSAID, traits_of
from models.shared.data.phantoms.records import Phantom

_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_FRAME = frozenset(["one", "a", "an", "in", "the", "on", "side", "showing", "is", "seen", "this"])


@dataclass(frozen=True)
class Said:
    """A trait found in a note."""

    trait: str
    """One of TRAITS."""
    value: str
    start: int
    """Place of its first letter in the text."""


@dataclass(frozen=True)
class Turn:
    """A note with one trait said otherwise."""

    trait: str
    said: str
    other: str
    text: str


def unknown_words(text: str) -> list[str]:
    """Words that no note of a phantom ever holds, each once, in order."""
    known = _vocabulary()
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in known]


def said(text: str) -> list[Said]:
    """The traits a note speaks of, in its order; longer wordings before the shorter ones in them ("slightly dark" before "dark")."""
    found, taken = [], [False] * len(text)
    values = {(trait, value) for family in _families(text) for trait, options in _options(family).items() for value in options}
    for trait, value in sorted(values, key=lambda one: (-len(one[1]), TRAITS.index(one[0]), one[1])):
        for match in re.finditer(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text.lower()):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = [True] * len(value)
                found.append(Said(trait, value, match.start()))
    return sorted(found, key=lambda one: one.start)


def turns(text: str) -> list[Turn]:
    """The note with each trait turned to each other value that the same kind of picture may have; places that do not exist are left out."""
    made, spoken = [], said(text)
    by_trait = {one.trait: one.value for one in spoken}
    for one in spoken:
        options = {value for family in _families(text) for value in _options(family)[one.trait]} - {one.value}
        for other in sorted(options, key=lambda one: (one == "midline", one)):  # left and right are each other's opposites first
            if one.trait in ("side", "zone") and not _possible({**by_trait, one.trait: other}, text):
                continue
            made.append(Turn(one.trait, one.value, other, text[: one.start] + other + text[one.start + len(one.value) :]))
    return made


def truth(phantom: Phantom, text: str) -> tuple[str, tuple[str, ...]] | None:
    """(verdict, traits that are false) of a note for a phantom; None where it is not known: not exactly one lesion, nothing said, or words no phantom has."""
    spoken = said(text)
    if len(phantom.lesions) != 1 or not spoken or unknown_words(text):
        return None
    named = [family.name for family in _named(text)]
    if named and phantom.family not in named:
        return "unrelated", ()
    traits = traits_of(phantom.lesions[0])
    wrong = tuple(dict.fromkeys(one.trait for one in spoken if traits.get(one.trait, one.value) != one.value))
    return ("contradict" if wrong else "agree"), wrong


@lru_cache(maxsize=1)
def _all() -> tuple[Family, ...]:
    return tuple(drawer_of(name).FAMILY for name in names())


def _named(text: str) -> list[Family]:
    return [family for family in _all() if family.modality.lower() in text.lower()]


def _families(text: str) -> tuple[Family, ...]:
    return tuple(_named(text)) or _all()


@lru_cache(maxsize=16)
def _options(family: Family) -> Mapping[str, frozenset[str]]:
    kinds = [kind for kind in family.kinds if kind.places]
    return {
        "side": frozenset(side for kind in kinds for side, _ in kind.places),
        "zone": frozenset(zone for kind in kinds for _, zone in kind.places),
        "size": frozenset(size for kind in kinds for size in kind.sizes),
        "margin": frozenset(value for kind in kinds for value in kind.margins) - UNSAID,
        "density": frozenset(value for kind in kinds for value in kind.densities) - UNSAID,
    }


def _possible(traits: Mapping[str, str], text: str) -> bool:
    places = {place for family in _families(text) for kind in family.kinds for place in kind.places}
    side, zone = traits.get("side"), traits.get("zone")
    return any((side is None or side == s) and (zone is None or zone == z) for s, z in places)


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    phrases = [*_FRAME]
    for family in _all():
        phrases += [family.modality, family.area, *(value for options in _options(family).values() for value in options)]
        phrases += [kind.called(size) for kind in family.kinds for size in kind.sizes]
    return frozenset(word for phrase in phrases for word in _WORD.findall(phrase.lower()))
