"""Findings in words: captions composed of the same facts in several orders, and a phrase that points at one lesion only."""

from __future__ import annotations

from models.shared.data.phantoms.facts import Facts, Family
from models.shared.data.phantoms.records import Lesion

_NUMBERS = {2: "two", 3: "three"}
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
    count, nouns = len(lesions), {item.kind for item in lesions}
    noun = lesions[0].kind if len(nouns) == 1 else "lesion"
    items = [f"{_traits(item)} {item.kind} in the {item.place}{_sign(family, item)}" for item in lesions]
    turned = [f"in the {item.place}, {_article(f'{_traits(item)} {item.kind}{_sign(family, item)}')}" for item in lesions]
    listed = _join([_article(item) for item in items])
    return (
        f"{head}: one {items[0]}" if count == 1 else f"{head}: {_NUMBERS[count]} {_plural(noun)}: {listed}",
        f"{head} showing {listed}",
        f"{_join(turned)}; {head}",
        f"{listed} {'is' if count == 1 else 'are'} seen on this {head}",
    )


def _traits(lesion: Lesion) -> str:
    margin = () if lesion.margin in _UNSAID else (lesion.margin,)
    return " ".join((lesion.size, lesion.density, *margin))


def _sign(family: Family, lesion: Lesion) -> str:
    said = dict(family.signs)
    return next((f" {said[word]}" for word in (lesion.margin, lesion.density) if word in said), "")


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
