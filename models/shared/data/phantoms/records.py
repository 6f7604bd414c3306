"""The records a phantom is handed out in. Axes: B pictures, H rows, W columns; masks are bool, pictures float32 in 0…1.

Sides follow the radiological convention: the picture is seen as if facing the patient (or from the feet), so the patient's
**right** is the **left** half of the picture. ``side`` is always the patient's side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lesion:
    """One drawn abnormality and the facts its pixels bear out."""

    mask: Mask
    """(H, W)."""
    kind: str
    """The noun it goes by: "nodule", "lesion", "pleural effusion" …"""
    side: str
    """"right" or "left" of the patient, or "midline"."""
    zone: str
    area: str
    """What the zones of this family are called: "zone", "region", "section"."""
    size: str
    """"small", "medium" or "large"; the millimetres of each are in the family's `Family.sizes_mm`."""
    margin: str
    density: str
    """How bright it is against its surroundings, in the modality's words."""
    centre: tuple[float, float]
    """Row and column of the mask's centre of mass, in pixels."""
    diameter_mm: float
    """Diameter of the circle that has the mask's area."""

    @property
    def echo(self) -> str:
        """`density`, by the name it has in ultrasound."""
        return self.density

    @property
    def place(self) -> str:
        """Side and zone in words: "right upper zone"."""
        return f"{self.side} {self.zone} {self.area}"


@dataclass(frozen=True)
class Marker:
    """Burnt-in writing or marks: rows and columns of the box that holds them, ends excluded."""

    kind: str
    """"text", "calipers", "ruler" or "cue"."""
    text: str
    box: tuple[int, int, int, int]
    """top, left, bottom, right in pixels."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """One made-up scan with everything that is known about it."""

    family: str
    seed: int
    image: Picture
    """(H, W) in 0…1."""
    organ: Mapping[str, Mask]
    """Name → (H, W)."""
    lesions: tuple[Lesion, ...]
    findings: Mapping[str, object]
    """label, count, cue, and of the first lesion: side, zone, size, margin, density (None where there is no lesion)."""
    caption: str
    captions: tuple[str, ...]
    """The same facts in several wordings; the first is `caption`."""
    label: str
    spacing_mm: float
    markers: tuple[Marker, ...]

    @property
    def lesion_mask(self) -> Mask:
        """(H, W): where any lesion is."""
        return np.logical_or.reduce([np.zeros(self.image.shape, bool), *(lesion.mask for lesion in self.lesions)])


@dataclass(frozen=True, eq=False)
class PhantomBatch:
    """Several phantoms of one family; item i is the phantom of ``seeds[i]``."""

    family: str
    seeds: tuple[int, ...]
    images: Picture
    """(B, H, W) in 0…1."""
    items: tuple[Phantom, ...]
    """Their pictures are views of `images`."""
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Phantom:
        return self.items[index]

    def __iter__(self) -> Iterator[Phantom]:
        return iter(self.items)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(B,): index into `classes`."""
        return np.array([self.classes.index(item.label) for item in self.items], dtype=np.int64)

    @property
    def captions(self) -> tuple[str, ...]:
        """One caption for each picture."""
        return tuple(item.caption for item in self.items)

    @property
    def lesion_masks(self) -> Mask:
        """(B, H, W): where any lesion is."""
        return np.array([item.lesion_mask for item in self.items], dtype=bool).reshape(self.images.shape)

    def organ(self, name: str) -> Mask:
        """(B, H, W) mask of one organ. Raises KeyError for a name this family does not draw."""
        return np.array([item.organ[name] for item in self.items], dtype=bool).reshape(self.images.shape)
