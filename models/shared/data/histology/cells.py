"""The nuclei of a section: where each lies and of which kind it is. Every kind has its own density, which follows the section's maps."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from models.shared.data.histology.fields import CELL_UM, Layout, outline

TUMOUR, LYMPHOCYTE, FIBROBLAST, EPITHELIUM = range(4)
KINDS = ("tumour", "lymphocyte", "fibroblast", "gland epithelium")
SPACING_UM = (12.5, 8.0, 20.0)
"""Closest mean distance of tumour cells, lymphocytes and fibroblasts, where they stand as densely as they can."""
WALL_UM = 15.0
"""Thickness of a gland's epithelium."""


def nuclei(section: Layout) -> np.ndarray:
    """float64 (N, 4): x, y in µm, kind, angle in radians."""
    draw = np.random.default_rng([7003, section.patient.number, section.seed])
    found = [_scattered(draw, section, kind) for kind in (TUMOUR, LYMPHOCYTE, FIBROBLAST)]
    found = [_outside_glands(section, some) for some in found]
    found += [_wall(draw, gland) for gland in section.glands]
    made = np.concatenate(found)
    return made[section.at(section.tissue, made[:, :2]) > 3]


def _density(section: Layout, kind: int, xy: np.ndarray) -> np.ndarray:
    """Share of the places that are taken, 0…1."""
    tumour, immune = section.at(section.tumour, xy), section.at(section.immune, xy)
    open_ = expit(-(section.at(section.fat, xy) + 8) / 4)
    nest = expit((tumour - 2) / 3)
    if kind == TUMOUR:
        return 0.92 * nest
    if kind == LYMPHOCYTE:
        return open_ * (0.012 + 0.85 * immune * (1 - 0.72 * nest))
    return open_ * (1 - nest) * (0.55 - 0.35 * immune) + 0.04 * (1 - open_)


def _scattered(draw: np.random.Generator, section: Layout, kind: int) -> np.ndarray:
    """A shaken grid, thinned by the density: even, without rows."""
    step = SPACING_UM[kind]
    rows, columns = int(section.height_um / step), int(section.width_um / step)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float64)
    xy = (np.stack([x, y], 1) + 0.5 + draw.uniform(-0.42, 0.42, (rows * columns, 2))) * step
    xy = xy[draw.random(len(xy)) < _density(section, kind, xy)]
    angle = _along_fibres(section, xy) + draw.normal(0, 0.18, len(xy)) if kind == FIBROBLAST else draw.uniform(0, 2 * np.pi, len(xy))
    return np.column_stack([xy, np.full(len(xy), kind, np.float64), angle])


def _along_fibres(section: Layout, xy: np.ndarray) -> np.ndarray:
    rows, columns = np.gradient(section.fibre, CELL_UM)
    return np.arctan2(section.at(rows, xy), section.at(columns, xy)) + np.pi / 2


def _outside_glands(section: Layout, some: np.ndarray) -> np.ndarray:
    keep = np.ones(len(some), bool)
    for gland in section.glands:
        reach = 1.6 * gland[2]
        near = np.flatnonzero((np.abs(some[:, 0] - gland[0]) < reach) & (np.abs(some[:, 1] - gland[1]) < reach))
        dx, dy = some[near, 0] - gland[0], some[near, 1] - gland[1]
        keep[near[np.hypot(dx, dy) < outline(gland, np.arctan2(dy, dx)) + 4]] = False
    return some[keep]


def _wall(draw: np.random.Generator, gland: np.ndarray) -> np.ndarray:
    count = int(2 * np.pi * gland[2] / 7.0)
    angle = (np.arange(count) + draw.uniform(-0.25, 0.25, count)) * 2 * np.pi / count
    away = outline(gland, angle) - WALL_UM * draw.uniform(0.35, 0.6, count)
    return np.column_stack([gland[0] + away * np.cos(angle), gland[1] + away * np.sin(angle), np.full(count, EPITHELIUM), angle])
