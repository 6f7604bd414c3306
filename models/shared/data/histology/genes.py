"""Planted expression: half of the genes follow what lies inside the spot, half what lies around it. Their names say so, so that none is taken for a real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.shared.data.histology.cells import EPITHELIUM, LYMPHOCYTE, TUMOUR
from models.shared.data.histology.fields import CELL_UM
from models.shared.data.histology.sections import Section

SPOT_UM, AROUND_UM = 112.0, 448.0
"""Side of the square that counts as inside, and of the one around it whose middle is left out."""
LOCAL = ("tumour cells", "lymphocytes", "stroma", "gland cells")
CONTEXT = ("lymphocytes around", "tumour around", "glands around", "far from the rim")
_FAR_UM = 180.0
_DEPTH, _DEPTH_SPREAD = 6000.0, 0.35
_SCATTER = 0.12


@dataclass(frozen=True)
class Gene:
    """One planted gene: what it follows, with which sign, and whether that lies inside ("local") or around ("context")."""

    name: str
    group: str
    feature: int
    strength: float
    second: int
    second_strength: float
    base: float


def _genes() -> tuple[Gene, ...]:
    draw = np.random.default_rng(7007)
    made = []
    for group, names in (("local", LOCAL), ("context", CONTEXT)):
        for feature, name in enumerate(names):
            for number in range(6):
                up = number % 3 != 2
                second = (feature + 1 + number % 3) % 4
                strength = draw.uniform(0.55, 0.95) * (1 if up else -1)
                made.append(
                    Gene(
                        f"{name} {'+' if up else '−'}{number + 1}",
                        group,
                        feature,
                        strength,
                        second,
                        draw.uniform(-0.2, 0.2),
                        draw.normal(0, 1.1),
                    )
                )
    return tuple(made)


GENES = _genes()
"""48 genes, the local ones first."""


def features(section: Section, xy_um: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the genes follow, at points (N, 2) in µm: (N, 4) inside and (N, 4) around, each about between −1 and 2."""
    place, shape = section.layout, section.layout.tumour.shape
    inside_cells, around_cells = (round(side / CELL_UM) for side in (SPOT_UM, AROUND_UM))

    def counted(kind: int) -> np.ndarray:
        some = section.cells[section.cells[:, 2] == kind]
        rows, columns = (some[:, 1] / CELL_UM).astype(int).clip(0, shape[0] - 1), (some[:, 0] / CELL_UM).astype(int).clip(0, shape[1] - 1)
        return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def boxed(values: np.ndarray, side: int) -> np.ndarray:
        return np.maximum(ndimage.uniform_filter(values, side, mode="constant"), 0)  # its running sums may end a hair below 0

    def ring(values: np.ndarray) -> np.ndarray:
        whole, middle = boxed(values, around_cells), boxed(values, inside_cells)
        share = (inside_cells / around_cells) ** 2
        return np.maximum(whole - share * middle, 0) / (1 - share)

    tumour, lymph, gland = counted(TUMOUR), counted(LYMPHOCYTE), counted(EPITHELIUM)
    nest = (place.tumour > 0).astype(np.float64)
    stroma = ((place.tissue > 0) & (place.tumour < 0) & (place.fat < 0)).astype(np.float64) - np.minimum(boxed(gland, 5) * 12, 1)
    inner = [
        boxed(tumour, inside_cells) / 0.25,
        np.sqrt(boxed(lymph, inside_cells) / 0.45),
        boxed(stroma.clip(0), inside_cells),
        np.sqrt(boxed(gland, inside_cells) / 0.08),
    ]
    outer = [np.sqrt(ring(lymph) / 0.3), ring(nest), np.sqrt(ring(gland) / 0.03), np.minimum(np.abs(place.tumour) / _FAR_UM, 1.5)]
    return tuple(np.stack([place.at(values, xy_um) for values in some], 1) for some in (inner, outer))


def log_means(section: Section, xy_um: np.ndarray) -> np.ndarray:
    """(N, 48): logarithm of the expected share of each gene, before the counting noise; patients differ by an offset a gene."""
    inner, outer = features(section, xy_um)
    offset = np.random.default_rng([7008, section.patient]).normal(0, 0.25, len(GENES))
    made = np.empty((len(xy_um), len(GENES)))
    for number, gene in enumerate(GENES):
        some = inner if gene.group == "local" else outer
        made[:, number] = (
            gene.base + offset[number] + 1.6 * (gene.strength * some[:, gene.feature] + gene.second_strength * some[:, gene.second])
        )
    return made


def expression(section: Section, xy_um: np.ndarray) -> np.ndarray:
    """Counts, int64 (N, 48), of spots at (N, 2) in µm: Poisson around the planted means, with a depth of its own for each spot. The same numbers each time."""
    draw = np.random.default_rng([7009, section.patient, section.seed])
    means = log_means(section, xy_um) + draw.normal(0, _SCATTER, (len(xy_um), len(GENES)))
    share = np.exp(means - means.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    depth = _DEPTH * np.exp(draw.normal(0, _DEPTH_SPREAD, len(xy_um)))
    return draw.poisson(share * depth[:, None])
