"""Phrases that mean one lesion (or all) of a phantom with several: by place, by looks, by order, or by what it is not. NumPy alone.

LSMS has a grammar of its own for its slices; this one speaks of the shared phantoms, whose pictures the small CLIP knows. An order is said only where
the diameters differ clearly, so that it is never a matter of taste. The grammar is ours (inferred).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.shared.data.phantoms.notes import traits_of
from models.shared.data.phantoms.records import Lesion

KINDS = ("place", "looks", "both", "order", "other", "all")
RELATIONAL = ("order", "other")
"""Phrases whose lesion depends on the others of the picture: no lesion fits them by itself."""
AHEAD = 1.25
"""By how much the larger diameter must exceed the next."""
_LARGEST = {2: ("larger", "bigger"), 3: ("largest", "biggest")}
_SMALLEST = {2: ("smaller",), 3: ("smallest",)}


@dataclass(frozen=True)
class Referral:
    """A phrase and what it means."""

    text: str
    rows: tuple[int, ...]
    """Numbers of the lesions meant."""
    kind: str
    """One of KINDS."""


def refer(lesions: Sequence[Lesion], random: np.random.Generator, kinds: Sequence[str] = KINDS) -> Referral:
    """A phrase of one of the kinds wanted, or the full one where none of them can be said. ValueError without lesions."""
    if not lesions:
        raise ValueError("A phrase needs at least one lesion to speak of; this picture has none.")
    for kind in random.permutation(list(kinds)):
        said = _MAKERS[str(kind)](lesions, random)
        if said is not None:
            return said
    row = int(random.integers(len(lesions)))
    return Referral(f"the {_words(lesions[row], ('size', 'density', 'margin', 'kind', 'place'))}", (row,), "both")


def orders(lesions: Sequence[Lesion]) -> dict[str, int]:
    """ "largest" and "smallest", where they are clear, and the lesion meant."""
    if len(lesions) < 2:
        return {}
    by_size = sorted(range(len(lesions)), key=lambda row: lesions[row].diameter_mm)
    sizes = [lesions[row].diameter_mm for row in by_size]
    found = {}
    if sizes[-1] >= AHEAD * sizes[-2]:
        found["largest"] = by_size[-1]
    if sizes[1] >= AHEAD * sizes[0]:
        found["smallest"] = by_size[0]
    return found


def noun_of(lesions: Sequence[Lesion]) -> str:
    """The word that fits all of them."""
    return lesions[0].kind if len({one.kind for one in lesions}) == 1 else "lesion"


def order_words(order: str, count: int) -> tuple[str, ...]:
    """Words for "largest" or "smallest" among so many."""
    return (_LARGEST if order == "largest" else _SMALLEST)[min(count, 3)]


def _words(lesion: Lesion, said: Sequence[str]) -> str:
    """ "small dense mass in the right upper zone": of what is said, in this order."""
    traits = traits_of(lesion)
    front = [traits[name] for name in ("size", "density", "margin") if name in said and name in traits]
    noun = lesion.kind if "kind" in said else "lesion"
    return " ".join([*front, noun, *([f"in the {lesion.place}"] if "place" in said else [])])


def _only(lesions: Sequence[Lesion], row: int, said: Sequence[str]) -> bool:
    """Whether no other lesion fits the same words."""
    return sum(_words(one, said) == _words(lesions[row], said) for one in lesions) == 1


def _one(lesions: Sequence[Lesion], random: np.random.Generator, options: Sequence[Sequence[str]], kind: str) -> Referral | None:
    row = int(random.integers(len(lesions)))
    for place in random.permutation(len(options)):
        said = [*options[int(place)], *(["kind"] if random.random() < 0.6 else [])]
        if _only(lesions, row, said):
            return Referral(f"the {_words(lesions[row], said)}", (row,), kind)
    return None


def _place(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    row = int(random.integers(len(lesions)))
    sides = [one.side for one in lesions]
    if sides.count(lesions[row].side) == 1 and lesions[row].side != "midline" and random.random() < 0.6:
        noun = noun_of(lesions) if random.random() < 0.6 else "lesion"
        return Referral(f"the {noun} on the {lesions[row].side} side", (row,), "place")
    return _one(lesions, random, [("place",)], "place")


def _looks(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    return _one(
        lesions, random, [("size",), ("density",), ("margin",), ("size", "density"), ("density", "margin"), ("size", "margin")], "looks"
    )


def _both(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    return _one(lesions, random, [("size", "place"), ("density", "place"), ("size", "density", "margin", "place")], "both")


def _order(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    known = orders(lesions)
    if not known:
        return None
    name = str(random.choice(sorted(known)))
    noun = noun_of(lesions) if random.random() < 0.6 else "lesion"
    return Referral(f"the {random.choice(order_words(name, len(lesions)))} {noun}", (known[name],), "order")


def _other(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    """Of two, the one that the words do not fit."""
    if len(lesions) != 2:
        return None
    named = _place(lesions, random) if random.random() < 0.5 else _looks(lesions, random)
    if named is None:
        return None
    lead = "not" if random.random() < 0.5 else "other than"
    return Referral(f"the lesion {lead} {named.text}", (1 - named.rows[0],), "other")


def _all(lesions: Sequence[Lesion], random: np.random.Generator) -> Referral | None:
    if len(lesions) < 2:
        return None
    word = "all" if len(lesions) > 2 or random.random() < 0.5 else "both"
    return Referral(f"{word} lesions", tuple(range(len(lesions))), "all")


_MAKERS = {"place": _place, "looks": _looks, "both": _both, "order": _order, "other": _other, "all": _all}
