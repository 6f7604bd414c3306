"""Pictures, labels, segments and regions of the two studies, and each arm's way of showing them.

N pictures, S = 128 pixels a side, n patches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.medfocusclip import painting, proposals
from models.medfocusclip.providers import ClassicalProvider, GridOptions
from models.medfocusclip.segments import Segment, make_segment, union
from models.medfocusclip.study_plan import Arm, Task
from models.shared.data import Dataset, load, phantoms

SIDE = 128
FAMILY = "liver_ct"
ORGAN = "liver"
CLASSICAL_GRID = GridOptions(points_per_side=8, score_threshold=0.5, stability_threshold=0.7, min_area=8)
"""For the phantoms; a grid and thresholds at which lesions of the training pictures are often found (looked at by eye)."""
VALIDATION = 200
"""Phantoms that carry the shortcut like the training ones, never trained on."""
MARKER_ROWS = slice(3, 8)
_MARKER_WIDTH, _MARKER_FIRST, _MARKER_STEP = 18, 16, 26
_TURN_DEGREES = 8.0


@dataclass(frozen=True, eq=False)
class Cases:
    """Some pictures of a study."""

    pictures: np.ndarray
    """(N, S, S) uint8."""
    labels: np.ndarray
    """(N,) int64."""
    automatic: Sequence[Sequence[Segment]]
    """Of each picture: segments nobody pointed at."""
    truth: Sequence[Sequence[Segment]] | None = None
    """Phantoms: the true outlines, organ first."""

    def __len__(self) -> int:
        return len(self.labels)

    def segments(self, arm: Arm, row: int) -> Sequence[Segment]:
        """The segments an arm uses on one picture."""
        found = self.automatic if arm.source == "automatic" else self.truth
        return found[row] if found is not None else ()

    def region(self, arm: Arm, row: int) -> np.ndarray:
        """(S, S) bool: what a white-on-black or attention arm points at.

        Truth: the organ, which every picture has, so that the region tells nothing of the class. Automatic: all that is not background. Everything where
        there is nothing.
        """
        segments = self.segments(arm, row)
        chosen = segments[:1] if arm.source == "truth" else [one for one in segments if not one.background]
        return union(chosen, (SIDE, SIDE)) if chosen else np.ones((SIDE, SIDE), bool)


@dataclass(frozen=True, eq=False)
class Material:
    """All pictures of a study."""

    task: Task
    classes: tuple[str, ...]
    train: Cases
    validation: Cases
    test: Cases


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures as an arm shows them to CLIP."""

    pixels: Sequence[np.ndarray]
    """N of (S, S, 3) uint8; smaller where an arm crops."""
    share: torch.Tensor | None
    """(N, n): the region's part of each patch, for arms that steer attention."""


def material(task: Task) -> Material:
    """The pictures of a task. DataNotHere where a real set is absent."""
    return brain(task) if task.id == "brain_mri" else liver(task)


def marker_places(labels: np.ndarray, classes: int, *, follows: float, seed: int) -> np.ndarray:
    """(N,) place of each picture's marker: its class in the share `follows` of the pictures, any place in the others."""
    dice = np.random.default_rng(seed)
    return np.where(dice.random(len(labels)) < follows, labels, dice.integers(0, classes, len(labels)))


def plant_markers(pictures: np.ndarray, places: np.ndarray) -> None:
    """Draw a bright bar on the upper border of each picture (N, S, S) uint8, in place: further right the higher its place, never on the body."""
    for picture, place in zip(pictures, places, strict=True):
        left = _MARKER_FIRST + _MARKER_STEP * int(place)
        picture[MARKER_ROWS, left : left + _MARKER_WIDTH] = 230


def liver(task: Task) -> Material:
    """Phantoms with a planted shortcut: in training and validation pictures a bar on the border follows the class, in test pictures it does not.

    The family's own cue, a line of letters five pixels high, is left without meaning: in trials the networks here hardly saw it, so that it misled nobody.
    """

    def cases(split: str, n: int) -> Cases:
        seeds = phantoms.split_seeds(split, n)
        drawn = phantoms.batch(FAMILY, seeds, size=SIDE)
        pictures = np.round(drawn.images * 255).astype(np.uint8)
        follows = 0.0 if split == "test" else task.shortcut
        plant_markers(pictures, marker_places(drawn.labels, len(drawn.classes), follows=follows, seed=seeds[0]))
        truth = [
            [make_segment(item.organ[ORGAN], source="truth"), *(make_segment(one.mask, source="truth") for one in item.lesions)]
            for item in drawn
        ]
        return Cases(pictures, drawn.labels, _Grown(pictures), truth)

    train, test = task.pool or 400, task.tests or 600
    return Material(task, phantoms.classes(FAMILY), cases("train", train), cases("validation", VALIDATION), cases("test", test))


def brain(task: Task) -> Material:
    """The real brain MRI set. Segments are read from the cache when a picture is shown; `missing_segments` makes them. DataNotHere without the set."""
    data = load("brain_mri", size=SIDE)
    return Material(task, data.classes, *(_brain_cases(data, part) for part in ("train", "validation", "test")))


def _brain_cases(data: Dataset, part: str) -> Cases:
    split = getattr(data, part)
    pictures = np.round(split.x[:, 0].numpy() * 255).astype(np.uint8)
    return Cases(pictures, split.y.numpy(), _FromCache(pictures))


class _Grown(Sequence):
    """Segments of a row by region growing, found when first asked for and then kept: arms that never ask cost no time."""

    def __init__(self, pictures: np.ndarray) -> None:
        self._pictures = pictures
        self._found: dict[int, list[Segment]] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, row: int) -> list[Segment]:
        if row not in self._found:
            self._found[row] = ClassicalProvider(CLASSICAL_GRID).propose(self._pictures[row])
        return self._found[row]


class _FromCache(Sequence):
    """Segments of a row, read when asked for."""

    def __init__(self, pictures: np.ndarray) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, row: int) -> list[Segment]:
        return proposals.read(self._pictures[row])


def missing_segments(cases: Cases, rows: np.ndarray) -> Iterator[int]:
    """Make the segments of these rows that are not in the cache; yields how many are done."""
    return proposals.make([cases.pictures[row] for row in rows])


def subset(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Row numbers of a share of the pictures, drawn within each class: of one seed, a smaller share lies inside every larger one.

    At least one picture of each class; sorted.
    """
    kept = []
    for label in np.unique(labels):
        rows = np.random.default_rng([seed, int(label)]).permutation(np.flatnonzero(labels == label))
        kept.append(rows[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(kept))


@dataclass(frozen=True)
class Version:
    """How a picture is changed before it is painted."""

    mirrored: bool = False
    turn: int = 0
    """0: not turned; any other number draws an angle of its own for each picture."""


def versions(count: int, *, mirror: bool) -> tuple[Version, ...]:
    """The first `count` versions of a picture, the picture as it is first; with `mirror` every other one is mirrored."""
    if mirror:
        return tuple(Version(bool(number % 2), number // 2) for number in range(count))
    return tuple(Version(turn=number) for number in range(count))


def show(cases: Cases, rows: np.ndarray, arm: Arm, version: Version = Version()) -> Shown:
    """These rows as an arm shows them, in one version.

    Mirroring and turning come before painting (spec §5.5), colours stay those of the picture as it is.
    """
    pixels, regions = [], []
    for row in rows:
        picture, masks, region = _geometry(cases, arm, int(row), version)
        seed = painting.image_seed(cases.pictures[row])
        pixels.append(painting.as_bytes(painting.shown(arm.mode, picture, masks, region, arm.painting, seed)))
        regions.append(region)
    share = None
    if arm.mode == "attention":
        share = torch.from_numpy(np.stack(regions))
    return Shown(pixels, share)


def _geometry(cases: Cases, arm: Arm, row: int, version: Version) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    picture = cases.pictures[row]
    masks = [one.mask for one in cases.segments(arm, row)] if arm.mode == "painted" else []
    region = np.ones(picture.shape, bool) if arm.mode in ("plain", "painted") else cases.region(arm, row)
    if version.mirrored:
        picture, region, masks = np.fliplr(picture), np.fliplr(region), [np.fliplr(mask) for mask in masks]
    if version.turn:
        angle = float(np.random.default_rng([row, version.turn]).uniform(-_TURN_DEGREES, _TURN_DEGREES))
        picture, region, masks = _turned(picture, angle), _turned(region, angle), [_turned(mask, angle) for mask in masks]
    return picture, masks, region


def _turned(array: np.ndarray, degrees: float) -> np.ndarray:
    """Turned about the middle; smoothly for pictures, nearest neighbour for masks."""
    from PIL import Image

    how = Image.Resampling.NEAREST if array.dtype == bool else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(array).rotate(degrees, how))
