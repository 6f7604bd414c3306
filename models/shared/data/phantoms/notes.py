"""Short notes beside a phantom with one lesion: one that agrees, one that contradicts it in a single trait, or one about another picture altogether.

Traits are left out at random, so that no single word gives the verdict away; a note always says where the lesion is or what it looks like. Alone,
neither picture nor note can tell agreement from contradiction: the same words are true of some pictures and false of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.shared.data.phantoms.generate import drawer_of, names
from models.shared.data.phantoms.records import Lesion, Phantom

VERDICTS = ("agree", "contradict", "unrelated")
TRAITS = ("side", "zone", "size", "margin", "density")
UNSAID = frozenset({"meniscus-shaped", "sharp-edged"})
SAID = 0.65
"""How often a trait is said."""


@dataclass(frozen=True)
class Note:
    """A note and what is true of it."""

    text: str
    verdict: str
    """One of VERDICTS."""
    wrong: str
    """The trait that is false in a contradicting note; empty otherwise."""
    said: Mapping[str, str]
    """Trait → the word in the note."""


def note(phantom: Phantom, verdict: str, random: np.random.Generator) -> Note:
    """A note for a phantom with exactly one lesion. ValueError for another number of lesions or an unknown verdict."""
    if len(phantom.lesions) != 1 or verdict not in VERDICTS:
        raise ValueError(
            f"A note is {', '.join(VERDICTS)}, for a phantom with exactly one lesion, not {verdict!r} for {len(phantom.lesions)}."
        )
    if verdict == "unrelated":
        other = str(random.choice([name for name in names() if name != phantom.family]))
        traits, noun, modality, area = _invented(other, random)
        return Note(_text(modality, noun, area, _kept(traits, random), random), verdict, "", traits)
    family, lesion = drawer_of(phantom.family).FAMILY, phantom.lesions[0]
    traits = traits_of(lesion)
    said, wrong = _kept(traits, random), ""
    if verdict == "contradict":
        options = {name: [v for v in _values(phantom.family, phantom.label, name) if v != traits[name]] for name in said}
        wrong = str(random.choice([name for name, values in options.items() if values] or list(said)))
        said = {**said, wrong: str(random.choice(options[wrong]))} if options[wrong] else said
        if not options[wrong]:  # nothing else can be said of what is said: say where it is, and say it wrongly
            wrong = "side"
            said = {"side": "left" if traits["side"] != "left" else "right", "zone": traits["zone"]}
    return Note(_text(family.modality, lesion.kind, lesion.area, said, random), verdict, wrong, said)


def traits_of(lesion: Lesion) -> dict[str, str]:
    """What may be said of a lesion; margins that its kind always has are left out, as they tell nothing."""
    found = {name: str(getattr(lesion, name)) for name in TRAITS}
    return {name: value for name, value in found.items() if value not in UNSAID}


def _kept(traits: Mapping[str, str], random: np.random.Generator) -> dict[str, str]:
    kept = {name: value for name, value in traits.items() if random.random() < SAID}
    if "zone" in kept and "side" in traits:
        kept = {"side": traits["side"], **kept}  # "in the upper zone" alone would be half a place
    return kept or {str(name): traits[name] for name in [random.choice(list(traits))]}


def _values(family: str, label: str, name: str) -> list[str]:
    """Other words for a trait that the same class of the family may have."""
    kind = next(kind for kind in drawer_of(family).FAMILY.kinds if kind.label == label)
    index = {"side": 0, "zone": 1}
    if name in index:
        return sorted({place[index[name]] for place in kind.places})
    return sorted({"size": kind.sizes, "margin": kind.margins, "density": kind.densities}[name])


def _invented(family: str, random: np.random.Generator) -> tuple[dict[str, str], str, str, str]:
    known = drawer_of(family).FAMILY
    kinds = [kind for kind in known.kinds if kind.counts != (0,) and kind.places]
    kind = kinds[int(random.integers(len(kinds)))]
    side, zone = kind.places[int(random.integers(len(kind.places)))]
    size = str(random.choice(kind.sizes))
    traits = {
        "side": side,
        "zone": zone,
        "size": size,
        "margin": str(random.choice(kind.margins)),
        "density": str(random.choice(kind.densities)),
    }
    return {name: value for name, value in traits.items() if value not in UNSAID}, kind.called(size), known.modality, known.area


def _text(modality: str, noun: str, area: str, said: Mapping[str, str], random: np.random.Generator) -> str:
    front = " ".join(said[name] for name in ("size", "density", "margin") if name in said)
    thing = f"{front} {noun}".strip()
    place = " ".join(
        [*(said[name] for name in ("side", "zone") if name in said), *([area] if "zone" in said else ["side"] if "side" in said else [])]
    )
    article = "an" if thing[0] in "aeiou" else "a"
    where = f" in the {place}" if "zone" in said else f" on the {place}" if place else ""
    wordings = (
        f"{modality}: one {thing}{where}",
        f"{modality} showing {article} {thing}{where}",
        f"{article} {thing}{where} is seen on this {modality}",
    )
    return wordings[int(random.integers(len(wordings)))]
