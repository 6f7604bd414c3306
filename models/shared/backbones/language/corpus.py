"""The small language model's texts: findings, notes, and requests with answers about phantoms of all families. NumPy alone; not a pixel is drawn.

What a text speaks of is planned by the phantoms' own rules, so words go together as they do under pictures. Seeds follow the phantoms' splits: test
texts come from other plans than training texts, and "unseen" ones speak of combinations that no training text has.
"""

from __future__ import annotations

import numpy as np

from models.shared.backbones.language.tasks import TASKS, asked, exchange
from models.shared.data.phantoms.facts import Facts, Family, draw_facts
from models.shared.data.phantoms.generate import drawer_of, names
from models.shared.data.phantoms.notes import VERDICTS, note
from models.shared.data.phantoms.records import Lesion, Phantom
from models.shared.data.phantoms.splits import split_of, split_seeds
from models.shared.data.phantoms.words import captions

KINDS = ("findings", "notes", *TASKS)
"""What a text is; those of a task are a request and its answer in one."""
VERDICT_REQUEST = "does this note fit the picture? {note}"
_VERDICTS = {"agree": "yes, it fits", "contradict": "no, it contradicts the picture", "unrelated": "no, it is about another picture"}


def planned(family: str, seed: int, *, count: int | None = None) -> Phantom:
    """What a phantom of that family could be, without pixels: its masks are empty and its centres not known.

    It is not the phantom that `phantoms.sample` draws for the seed. ValueError for an unknown family or a seed of no split.
    """
    plan = drawer_of(family).FAMILY
    random = np.random.default_rng([seed, names().index(family), 0x7E87])
    facts = draw_facts(plan, random, split_of(seed), 0.0, () if count is None else (("count", count),))
    lesions = _lesions(plan, facts)
    said = captions(plan, facts, lesions)
    nothing = np.zeros((1, 1), np.float32)
    return Phantom(
        family=family, seed=seed, image=nothing, organ={}, lesions=lesions, findings={"label": facts.kind.label, "count": len(lesions)},
        caption=said[0], captions=said, label=facts.kind.label, spacing_mm=plan.fov_mm, markers=(),
    )  # fmt: skip


def text(kind: str, seed: int) -> str:
    """The text of a kind and seed. ValueError for an unknown kind."""
    random = np.random.default_rng([seed, KINDS.index(kind) if kind in KINDS else 99, 0x7E88])
    families = names()
    family = families[int(random.integers(len(families)))]
    if kind == "findings":
        said = planned(family, seed).captions
        return said[int(random.integers(len(said)))]
    if kind == "notes":
        said = note(planned(family, seed, count=1), VERDICTS[int(random.integers(3))], random)
        # without the picture the verdict cannot be known; the request is here so that its words are
        return f"{asked_whether(said.text)} {_VERDICTS[said.verdict]}" if random.random() < 0.5 else f"note: {said.text}"
    if kind not in TASKS:
        raise ValueError(f"There is no kind of text {kind!r}; there are {', '.join(KINDS)}.")
    return exchange(planned(family, seed), kind, random).text


def asked_whether(said: str) -> str:
    """The request whether a note fits a picture, up to where the answer begins."""
    return asked(VERDICT_REQUEST.format(note=said))


def texts(split: str, n: int, start: int = 0) -> dict[str, list[str]]:
    """Kind → `n` texts of a split, from its `start`-th seed on."""
    return {kind: [text(kind, seed) for seed in split_seeds(split, n, start)] for kind in KINDS}


def _lesions(plan: Family, facts: Facts) -> tuple[Lesion, ...]:
    nothing = np.zeros((1, 1), bool)
    return tuple(
        Lesion(
            mask=nothing, kind=facts.kind.called(spot.size), side=spot.side, zone=spot.zone, area=plan.area, size=spot.size, margin=spot.margin,
            density=spot.density, centre=(float("nan"), float("nan")), diameter_mm=spot.diameter_mm,
        )
        for spot in facts.spots
    )  # fmt: skip
