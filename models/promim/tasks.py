"""The phantom base-to-new tasks: which classes prompts are learned on, which stay new, and the pictures of each. Loads no PyTorch.

A class is one combination of side, zone, margin and density of one family, named in the words of its captions. New classes are the
combinations that `phantoms.held_out` keeps for the "unseen" split: the small CLIP met each of their words, never the combination. Base
classes are as many others, picked so that every word occurs about equally often. Their training pictures come from train seeds, test
pictures of base classes from test seeds and of new ones from unseen seeds. Phantoms are drawings with known truth, not patients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np

from models.promim.records import TaskInfo
from models.shared.data import phantoms
from models.shared.data.phantoms.facts import Combination, Kind, combinations
from models.shared.data.phantoms.generate import drawer_of

Group = Literal["base", "new"]
SIZES = ("medium", "large")
"""Lesions drawn: small ones go by another noun in one family."""


@dataclass(frozen=True)
class PictureClass:
    """One class: what is drawn and what it is called."""

    name: str
    family: str
    label: str
    combination: Combination


@dataclass(frozen=True, eq=False)
class Pictures:
    """Phantoms of a list of classes: images float32 (N, S, S) in 0…1, labels int64 (N,), the seed of each."""

    images: np.ndarray
    labels: np.ndarray
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """One family's classes."""

    id: str
    title: str
    family: str
    template: str
    count: int
    """Classes in each half."""

    @cached_property
    def new(self) -> tuple[PictureClass, ...]:
        """Combinations no training picture of the CLIP shows."""
        return _balanced_pick(_all(self.family, held_out=True), self.count)

    @cached_property
    def base(self) -> tuple[PictureClass, ...]:
        """Combinations prompts are learned on."""
        return _balanced_pick(_all(self.family, held_out=False), self.count)

    def classes(self, group: Group) -> tuple[PictureClass, ...]:
        """One half."""
        return self.base if group == "base" else self.new

    def names(self, group: Group) -> tuple[str, ...]:
        """Class names of one half."""
        return tuple(one.name for one in self.classes(group))

    @property
    def info(self) -> TaskInfo:
        """What the screen needs to know."""
        return TaskInfo(self.id, self.title, self.names("base"), self.names("new"), self.template, self.family)

    def draw(self, group: Group, split: str, per_class: int, *, start: int = 0, size: int = 128) -> Pictures:
        """`per_class` phantoms of each class of a half, the classes one after the other, from the split's seeds `start` on."""
        images, labels, seeds = [], [], []
        for number, one in enumerate(self.classes(group)):
            for k, seed in enumerate(phantoms.split_seeds(split, per_class, start + number * per_class)):
                images.append(draw(one, seed, size=size, large=bool(k % 2)))
                labels.append(number)
                seeds.append(seed)
        return Pictures(np.stack(images), np.array(labels, dtype=np.int64), tuple(seeds))


def draw(one: PictureClass, seed: int, *, size: int = 128, large: bool = False) -> np.ndarray:
    """One phantom with a single lesion of that class, float32 (S, S) in 0…1."""
    side, zone, margin, density = one.combination
    return phantoms.sample(
        one.family,
        seed,
        size=size,
        label=one.label,
        count=1,
        side=side,
        zone=zone,
        margin=margin,
        density=density,
        lesion_size=SIZES[large],
    ).image


def _all(family: str, *, held_out: bool) -> tuple[PictureClass, ...]:
    """Every combination of a family that is, or is not, held out; of kinds that are drawn at both sizes."""
    drawn, held = drawer_of(family).FAMILY, phantoms.held_out(family)
    return tuple(
        PictureClass(_name(kind, drawn.area, combo), family, kind.label, combo)
        for kind in drawn.kinds
        if kind.placed and set(SIZES) <= set(kind.sizes)
        for combo in combinations(kind)
        if (combo in held) == held_out
    )


def _name(kind: Kind, area: str, combo: Combination) -> str:
    side, zone, margin, density = combo
    return f"{density} {margin} {kind.noun} in the {side} {zone} {area}"


def _balanced_pick(every: tuple[PictureClass, ...], count: int) -> tuple[PictureClass, ...]:
    """So many of them that every word occurs about equally often: always the next one whose words were used least, the first among equals."""
    used: Counter[str] = Counter()
    picked: list[PictureClass] = []
    for _ in range(count):
        best = min((one for one in every if one not in picked), key=lambda one: sum(used[word] for word in (one.label, *one.combination)))
        picked.append(best)
        used.update((best.label, *best.combination))
    return tuple(sorted(picked, key=every.index))


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.id: task
        for task in (
            Task("chest", "Chest masses", "chest_xray", "chest radiograph showing a {}.", 8),
            Task("breast", "Breast lesions", "breast_ultrasound", "breast ultrasound showing a {}.", 8),
            Task("brain", "Brain tumours", "brain_mr", "brain MR showing a {}.", 6),
        )
    }
)


@dataclass(frozen=True, eq=False)
class Example:
    """A phantom with its true class, for the first look."""

    task: str
    group: Group
    label: int
    """Index into that half's class names."""
    name: str
    image: np.ndarray
    """float32 (128, 128) in 0…1."""


def examples(task: str, *, each: int = 1) -> tuple[Example, ...]:
    """`each` test pictures of every base and every new class, never used in a training. KeyError for an unknown task."""
    found, start = [], 900_000  # far from the seeds that are measured on
    for group, split in (("base", "test"), ("new", "unseen")):
        pictures = TASKS[task].draw(group, split, each, start=start)
        names = TASKS[task].names(group)
        found += [Example(task, group, int(y), names[y], image) for image, y in zip(pictures.images, pictures.labels, strict=True)]
    return tuple(found)
