"""Findings in words: captions composed of the same facts in several orders, and a phrase that points at one lesion only."""

from __future__ import annotations

from models.shared.data.phantoms.facts import Facts, Family
from models.shared.data.phantoms.records import Lesion

_NUMBERS = {1: "one", 2: "two", 3: "three"}
_UNSAID = frozenset({"meniscus-shaped", "sharp-edged"})  # the only margin its kind has: saying it tells nothing


def phrase(lesion: Lesion) -> str:
    """A lesion as one would point it out: "the small bright smooth nodule in the right upper zone".

    No two lesions of a phantom share it: they never lie in the same place.
    """
    return f"the {_traits(lesion)} {lesion.kind} in the {lesion.place}"


def captions(family: Family, facts: Facts, lesions: tuple[Lesion, ...]) -> tuple[str, ...]:
    """The same facts in four wordings; the first is the plain one."""
    head = family.modality
    if not lesions:
        normal = facts.kind.noun
        return (
            f"{head}: no {normal}",
            f"normal {head} without {normal}",
            f"{head} showing no {normal}",
            f"no {normal} is seen on this {head}",
        )
    count, noun = len(lesions), lesions[0].kind
    items = _join([f"{_article(_traits(item))} {item.kind} in the {item.place}" for item in lesions])
    signs = _signs(family, lesions)
    number = _NUMBERS[count] if count > 1 else "one"
    return (
        f"{head}: {number} {_plural(noun, count)}: {items}{signs}" if count > 1 else f"{head}: one {items.split(' ', 1)[1]}{signs}",
        f"{head} showing {items}{signs}",
        f"{_join([f'in the {i.place}, {_article(_traits(i))} {i.kind}' for i in lesions])}{signs}; {head}",
        f"{items} {'is' if count == 1 else 'are'} seen on this {head}{signs}",
    )


def _traits(lesion: Lesion) -> str:
    margin = () if lesion.margin in _UNSAID else (lesion.margin,)
    return " ".join((lesion.size, lesion.density, *margin))


def _signs(family: Family, lesions: tuple[Lesion, ...]) -> str:
    said = dict(family.signs)
    found = {said[word]: None for lesion in lesions for word in (lesion.margin, lesion.density) if word in said}
    return "".join(f", {sign}" for sign in found)


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
