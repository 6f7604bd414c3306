"""Pictures with captions for the small CLIP: phantoms of all families and the training parts of real sets, with what is true of each.

A caption comes with a `Claim`, the facts it states; `matches` tells for which pictures of a batch it is true. Captions are drawn anew
each time: everything about the lesions, a few of their traits, or the class alone. Real sets know their classes alone.
BreastMNIST is left out on purpose: it was made from BUSI and would carry BUSI's test pictures into the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.shared.backbones.clip.prompts import CLASS_NAMES, MODALITY, TEMPLATES
from models.shared.data import load, phantoms

SIDE, CELLS = 128, 32
MOST_LESIONS = 3
TRAITS = ("side", "zone", "size", "margin", "density")
REAL_SETS = ("brain_mri", "busi", "pneumoniamnist")
_UNSAID = frozenset({"meniscus-shaped", "sharp-edged"})
_CHUNK = 256


@dataclass(frozen=True)
class Claim:
    """What a caption says. -1 stands for what it leaves open."""

    label: int
    count: int
    lesions: tuple[tuple[int, ...], ...]
    """One row of codes, in the order of `TRAITS`, for each lesion it speaks of."""


@dataclass(frozen=True, eq=False)
class Source:
    """One phantom family or real set."""

    name: str
    kind: str
    """"phantom" or "real"."""
    images: NDArray[np.uint8]
    """(N, 128, 128)."""
    labels: NDArray[np.int64]
    """(N,)."""
    facts: NDArray[np.int8]
    """(N, 3, 5): codes of each lesion's traits, -1 where there is no lesion or nothing is known."""
    counts: NDArray[np.int8]
    """(N,): lesions, -1 where that is not known."""
    captions: tuple[tuple[str, ...], ...]
    """The full captions of each picture; empty for real sets."""
    words: tuple[tuple[str, ...], ...]
    """For each trait the word of each code."""
    nouns: tuple[tuple[str, ...], ...]
    """The name of each lesion."""
    area: str = ""
    where: NDArray[np.uint8] | None = None
    """(N, 32, 32): how much of each cell is lesion, 0…255; None where no masks are known."""

    def __len__(self) -> int:
        return len(self.labels)


def phantom_source(family: str, seeds: Sequence[int]) -> Source:
    """Phantoms of these seeds, with all that their captions say."""
    images = np.empty((len(seeds), SIDE, SIDE), np.uint8)
    facts = np.full((len(seeds), MOST_LESIONS, len(TRAITS)), -1, np.int8)
    counts = np.zeros(len(seeds), np.int8)
    where = np.empty((len(seeds), CELLS, CELLS), np.uint8)
    labels, captions, nouns = [], [], []
    codes: list[dict[str, int]] = [{} for _ in TRAITS]
    area = ""
    for start in range(0, len(seeds), _CHUNK):
        drawn = phantoms.batch(family, seeds[start : start + _CHUNK], size=SIDE)
        images[start : start + _CHUNK] = np.round(drawn.images * 255)
        where[start : start + _CHUNK] = np.round(_shares(drawn.lesion_masks) * 255)
        labels.append(drawn.labels)
        for row, item in enumerate(drawn, start):
            captions.append(item.captions)
            nouns.append(tuple(lesion.kind for lesion in item.lesions))
            counts[row] = len(item.lesions)
            for place, lesion in enumerate(item.lesions[:MOST_LESIONS]):
                area = lesion.area
                facts[row, place] = [code.setdefault(getattr(lesion, trait), len(code)) for trait, code in zip(TRAITS, codes, strict=True)]
    words = tuple(tuple(code) for code in codes)
    return Source(family, "phantom", images, np.concatenate(labels), facts, counts, tuple(captions), words, tuple(nouns), area, where)


def real_source(name: str, part: str) -> Source:
    """One part of a real set. Raises DataNotHere when its files are absent."""
    split = getattr(load(name, size=SIDE), part)
    n = len(split)
    facts = np.full((n, MOST_LESIONS, len(TRAITS)), -1, np.int8)
    images = np.round(split.x[:, 0].numpy() * 255).astype(np.uint8)
    return Source(name, "real", images, split.y.numpy(), facts, np.full(n, -1, np.int8), ((),) * n, ((),) * len(TRAITS), ((),) * n)


def caption(source: Source, row: int, rng: np.random.Generator) -> tuple[str, Claim]:
    """One wording of what is true of a picture, with its claim."""
    count = int(source.counts[row])
    kind = rng.random()
    if source.kind == "real" or (count == 0 and kind < 0.6) or kind < 0.3:
        return _class_caption(source, int(source.labels[row]), rng)
    if count == 0:
        return str(rng.choice(source.captions[row])), Claim(-1, 0, ())
    if kind < 0.6:
        return _trait_caption(source, row, int(rng.integers(count)), rng)
    said = tuple(tuple(int(code) for code in lesion) for lesion in source.facts[row, :count])
    return str(rng.choice(source.captions[row])), Claim(-1, count, said)


def matches(source: Source, rows: NDArray[np.int64], claims: Sequence[Claim]) -> NDArray[np.bool_]:
    """(pictures, claims): whether each claim is true of each picture, all from one source."""
    labels, counts, facts = source.labels[rows], source.counts[rows], source.facts[rows]
    true = np.ones((len(rows), len(claims)), bool)
    for column, claim in enumerate(claims):
        fits = np.ones(len(rows), bool)
        if claim.label >= 0:
            fits &= labels == claim.label
        if claim.count >= 0:
            fits &= counts == claim.count
        for said in claim.lesions:
            wanted = np.asarray(said)
            fits &= ((facts == wanted) | (wanted < 0)).all(-1)[:, :].any(-1) if (wanted >= 0).any() else True
        true[:, column] = fits
    return true


def _shares(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Masks (B, 128, 128) to the share of each of 32 × 32 cells."""
    step = SIDE // CELLS
    return masks.reshape(-1, CELLS, step, CELLS, step).mean((2, 4))


def _class_caption(source: Source, label: int, rng: np.random.Generator) -> tuple[str, Claim]:
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    return template.format(modality=MODALITY[source.name], name=CLASS_NAMES[source.name][label]), Claim(label, -1, ())


def _trait_caption(source: Source, row: int, which: int, rng: np.random.Generator) -> tuple[str, Claim]:
    """Some traits of one lesion: "breast ultrasound: an anechoic lesion in the left deep zone"."""
    codes = source.facts[row, which]
    side, zone, size, margin, density = (source.words[t][code] for t, code in enumerate(codes))
    said = {trait for trait in ("size", "density", "margin") if rng.random() < 0.5}
    placed = bool(rng.random() < 0.6) or not said
    said -= {"margin"} if margin in _UNSAID else set()
    adjectives = [word for trait, word in (("size", size), ("density", density), ("margin", margin)) if trait in said]
    noun = " ".join((*adjectives, source.nouns[row][which]))
    words = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}" + (f" in the {side} {zone} {source.area}" if placed else "")
    stated = said | ({"side", "zone"} if placed else set())
    claim = Claim(-1, -1, (tuple(int(code) if trait in stated else -1 for trait, code in zip(TRAITS, codes, strict=True)),))
    forms = (f"{MODALITY[source.name]}: {words}", f"{MODALITY[source.name]} showing {words}", words, f"a photo of {words}.")
    return forms[rng.integers(len(forms))], claim


def draws(
    n: int, sources: Sequence[Source], weights: Sequence[float], seed: int
) -> Iterator[tuple[list[tuple[Source, NDArray[np.int64]]], np.random.Generator]]:
    """Without end: `n` pictures of two sources of different modality, half each, with the generator to caption them by."""
    rng = np.random.default_rng(seed)
    chance = np.asarray(weights, float) / sum(weights)
    modality = [MODALITY[source.name].split()[0] for source in sources]
    while True:
        first, second = rng.choice(len(sources), 2, replace=False, p=chance)
        if modality[first] != modality[second]:
            yield [(sources[s], rng.integers(len(sources[s]), size=n // 2)) for s in (first, second)], rng
