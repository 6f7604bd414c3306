"""Where things lie in a made-up tissue section: smooth maps of tissue, tumour, immune infiltrate, glands and fat, in µm and before any pixel is drawn.

A *patient* fixes the stain, how much of everything there is and how genes are set; a *section* of the patient only draws it anew. So a split
by section lets a network learn patients, and a split by patient does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

CELL_UM = 8.0
"""Side of one cell of the maps."""
_LEAST_UM = 800.0


@dataclass(frozen=True)
class Patient:
    """What all sections of one patient share, drawn from its number."""

    number: int
    tumour_share: float
    nest_um: float
    """Scale of the tumour's nests."""
    immune_share: float
    immune_rim: float
    """How strongly the infiltrate sits at the tumour's rim, 0…1."""
    gland_rate: float
    """Glands per mm² of stroma."""
    fat_share: float
    stain: np.ndarray = field(repr=False)
    """(2, 3): optical density of haematoxylin and eosin in red, green, blue."""
    strength: tuple[float, float]
    """How strongly either stain took."""
    white: tuple[float, float, float]


def patient(number: int) -> Patient:
    """The patient of that number; ValueError for a negative one."""
    if number < 0:
        raise ValueError(f"Patients are numbered from 0; {number} is none.")
    draw = np.random.default_rng([7001, number])
    haematoxylin = np.array([0.66, 0.70, 0.29]) + draw.normal(0, 0.035, 3)
    eosin = np.array([0.10, 0.96, 0.22]) + draw.normal(0, 0.04, 3)
    stain = np.stack([haematoxylin / np.linalg.norm(haematoxylin), eosin / np.linalg.norm(eosin)]).clip(0.02)
    return Patient(
        number,
        tumour_share=draw.uniform(0.28, 0.5),
        nest_um=draw.uniform(140, 260),
        immune_share=draw.uniform(0.14, 0.3),
        immune_rim=draw.uniform(0.2, 0.8),
        gland_rate=draw.uniform(4, 12),
        fat_share=draw.uniform(0.0, 0.12),
        stain=stain,
        strength=(draw.uniform(0.85, 1.25), draw.uniform(0.75, 1.2)),
        white=tuple(draw.uniform(241, 248, 3)),
    )


def smooth(draw: np.random.Generator, shape: tuple[int, int], scale_um: float) -> np.ndarray:
    """Noise (rows, columns) of that scale with mean 0 and deviation 1, float32."""
    sigma = max(0.5, scale_um / CELL_UM / 2.5)
    pad = int(3 * sigma) + 1
    raw = draw.standard_normal((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=np.float32)
    made = ndimage.gaussian_filter(raw, sigma, truncate=3.0)[pad : pad + shape[0], pad : pad + shape[1]]
    return (made - made.mean()) / (made.std() + 1e-9)


@dataclass(frozen=True, eq=False)
class Layout:
    """One section in µm. Maps are (rows, columns) of cells of CELL_UM; the upper left corner is (0, 0)."""

    seed: int
    patient: Patient
    width_um: float
    height_um: float
    tissue: np.ndarray = field(repr=False)
    """float32, above 0 in tissue; distances to its edge in µm, negative outside."""
    tumour: np.ndarray = field(repr=False)
    """float32, distance to the rim of the nests in µm, positive inside."""
    immune: np.ndarray = field(repr=False)
    """float32 0…1."""
    fat: np.ndarray = field(repr=False)
    """float32, positive in fat."""
    fibre: np.ndarray = field(repr=False)
    """float32 µm: its level lines are the collagen's fibres."""
    shade: np.ndarray = field(repr=False)
    """float32: slow changes of how strongly the stain took."""
    glands: np.ndarray = field(repr=False)
    """float64 (n, 10): x, y, radius in µm, then seven harmonics of the outline."""

    def at(self, values: np.ndarray, xy_um: np.ndarray) -> np.ndarray:
        """A map's values at points (N, 2), bilinear."""
        rows, columns = xy_um[:, 1] / CELL_UM - 0.5, xy_um[:, 0] / CELL_UM - 0.5
        return ndimage.map_coordinates(values, [rows, columns], order=1, mode="nearest")


def layout(seed: int, *, patient_number: int, width_um: float, height_um: float) -> Layout:
    """Draw a section. ValueError for a section smaller than 0.8 mm, whose maps would be all rim."""
    if min(width_um, height_um) < _LEAST_UM:
        raise ValueError(f"A section needs at least {_LEAST_UM:g} µm a side; got {width_um:g} × {height_um:g}.")
    who = patient(patient_number)
    draw = np.random.default_rng([7002, patient_number, seed])
    shape = (round(height_um / CELL_UM), round(width_um / CELL_UM))
    tissue = _tissue(draw, shape)
    nests = smooth(draw, shape, who.nest_um) + 0.35 * smooth(draw, shape, who.nest_um / 3) + 0.9 * smooth(draw, shape, 1400)
    inside = nests > np.quantile(nests[tissue > 0], 1 - who.tumour_share)
    tumour = _signed(ndimage.binary_opening(inside, iterations=2))
    patches = smooth(draw, shape, 150) + 0.5 * smooth(draw, shape, 900) + 1.4 * who.immune_rim * np.exp(-((tumour + 40) ** 2) / (2 * 60**2))
    cut = np.quantile(patches[tissue > 0], 1 - who.immune_share)
    immune = ndimage.gaussian_filter((patches > cut).astype(np.float32), 1.5)
    lard = smooth(draw, shape, 700) - 0.006 * np.clip(tumour + 250, 0, None)
    fat = _signed(lard > np.quantile(lard[tissue > 0], 1 - who.fat_share)) if who.fat_share > 0.02 else np.full(shape, -1e3, np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]] * CELL_UM
    angle = draw.uniform(0, np.pi)
    fibre = columns * np.cos(angle) + rows * np.sin(angle) + 110 * smooth(draw, shape, 420) + 16 * smooth(draw, shape, 90)
    shade = 1 + 0.06 * smooth(draw, shape, 1500) + 0.05 * smooth(draw, shape, 250)
    glands = _glands(draw, who, tissue, tumour, fat)
    return Layout(
        seed,
        who,
        shape[1] * CELL_UM,
        shape[0] * CELL_UM,
        tissue,
        tumour,
        immune,
        fat,
        fibre.astype(np.float32),
        shade.astype(np.float32),
        glands,
    )


def _tissue(draw: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """An irregular piece that nearly fills the frame, with a few tears."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    edge = 0.86 - (np.abs(rows) ** 3.2 + np.abs(columns) ** 3.2) ** (1 / 3.2)
    outline = edge + 0.05 * smooth(draw, shape, 1200) + 0.03 * smooth(draw, shape, 380) + 0.006 * smooth(draw, shape, 90)
    tears = np.abs(smooth(draw, shape, 800)) < 0.012 + 0.03 * (smooth(draw, shape, 900) > 1.6)
    return _signed((outline > 0) & ~ndimage.binary_dilation(tears & (smooth(draw, shape, 500) > 1.2)))


def _signed(inside: np.ndarray) -> np.ndarray:
    """Distance to the rim in µm, positive inside; ±5,000 where there is no rim."""
    if inside.all() or not inside.any():
        return np.full(inside.shape, 5000.0 if inside.all() else -5000.0, np.float32)
    outward = ndimage.distance_transform_edt(~inside) - 0.5
    inward = ndimage.distance_transform_edt(inside) - 0.5
    return (CELL_UM * np.where(inside, inward, -outward)).astype(np.float32)


def _glands(draw: np.random.Generator, who: Patient, tissue: np.ndarray, tumour: np.ndarray, fat: np.ndarray) -> np.ndarray:
    """Glands in the stroma, none touching another."""
    room = (tissue > 130) & (tumour < -70) & (fat < -60)
    places = np.argwhere(room)
    wanted = int(who.gland_rate * room.sum() * (CELL_UM / 1000) ** 2)
    lobes = smooth(draw, tissue.shape, 600)
    made: list[np.ndarray] = []
    for row, column in places[draw.permutation(len(places))][: 60 * wanted]:
        if len(made) >= wanted:
            break
        if lobes[row, column] < 0.25:
            continue
        radius = draw.uniform(32, 72)
        x, y = (column + 0.5) * CELL_UM, (row + 0.5) * CELL_UM
        if tumour[row, column] > -radius - 40 or any((x - g[0]) ** 2 + (y - g[1]) ** 2 < (radius + g[2] + 16) ** 2 for g in made):
            continue
        made.append(np.array([x, y, radius, *draw.normal(0, [0.1, 0.1, 0.07, 0.07, 0.04, 0.04, 0.03])]))
    return np.array(made).reshape(-1, 10)


def outline(gland: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Radius of a gland's outer edge in µm at these angles."""
    wave = sum(gland[3 + k] * np.cos((k + 2) // 2 * angle * 1.0 + (k % 2) * np.pi / 2 + k) for k in range(7))
    return gland[2] * (1 + wave)
