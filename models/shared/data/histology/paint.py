"""Drawing a section as a stained slice: amounts of haematoxylin and eosin at every point, then light through them (Beer and Lambert).

Any rectangle at any resolution gives the pixels that the whole section would have there, so that a slide too large for memory can be drawn
piece by piece.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from models.shared.data.histology.cells import FIBROBLAST, LYMPHOCYTE, TUMOUR, WALL_UM
from models.shared.data.histology.fields import CELL_UM, Layout, outline

FINE_UM = 0.25
"""Nuclei are drawn this finely once and averaged down."""
_VARIANTS = 48
_MARGIN_UM = 24.0
_NOISE = 1024


def paint(section: Layout, cells: np.ndarray, mpp: float, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """uint8 (h, w, 3): the rectangle `box` = (x, y, w, h) in pixels of `mpp` µm, by default the whole section. cells: see `nuclei`."""
    whole = (0, 0, round(section.width_um / mpp), round(section.height_um / mpp))
    left, top, width, height = box or whole
    margin = int(np.ceil(_MARGIN_UM / mpp))
    x, y, w, h = left - margin, top - margin, width + 2 * margin, height + 2 * margin
    haem, eosin, solid = _ground(section, mpp, x, y, w, h)
    _glands(section, mpp, x, y, haem, eosin, solid)
    _nuclei(cells, mpp, x, y, haem)
    shade = _sampled(section.shade, mpp, x, y, w, h)
    haem, eosin = haem * solid * shade, eosin * solid * shade
    picture = _light(section, haem, eosin)
    if mpp < 1.5:  # the objective's own blur
        picture = ndimage.gaussian_filter(picture, (0.35 / mpp, 0.35 / mpp, 0))
    picture = picture[margin : margin + height, margin : margin + width]
    grain = _noise(3, left, top, width, height)
    return np.clip(picture + (1.6 * grain)[..., None] + 0.5, 0, 255).astype(np.uint8)


def _light(section: Layout, haem: np.ndarray, eosin: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32, 0…255."""
    who = section.patient
    density = haem[..., None] * (who.strength[0] * who.stain[0]).astype(np.float32) + eosin[..., None] * (
        who.strength[1] * who.stain[1]
    ).astype(np.float32)
    return np.asarray(who.white, np.float32) * np.exp(-density)


def _ground(section: Layout, mpp: float, x: int, y: int, w: int, h: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stroma, tumour, fat and glass, without nuclei: (haematoxylin, eosin, how much tissue there is), float32 (h, w)."""
    tissue, tumour = _sampled(section.tissue, mpp, x, y, w, h), _sampled(section.tumour, mpp, x, y, w, h)
    fibre, fat = _sampled(section.fibre, mpp, x, y, w, h), _sampled(section.fat, mpp, x, y, w, h)
    coarse, fine = _clouds(mpp, x, y, w, h, 26.0), _clouds(mpp, x, y, w, h, 5.0)
    nest = _step(tumour + 5 * coarse, 2.5)
    bundle = 0.5 + 0.5 * np.sin(2 * np.pi * (fibre / 15.0 + 0.35 * coarse))
    strand = 0.5 + 0.5 * np.sin(2 * np.pi * (fibre / 4.6 + 0.5 * coarse + 0.22 * fine))
    cleft = np.clip(1.7 * bundle * (0.55 + 0.45 * strand) + 0.25 + 0.25 * coarse, 0, 1)  # light gaps between the bundles
    stroma = (0.16 + 0.34 * cleft) * (1 + 0.10 * fine)
    cytoplasm = 0.34 + 0.05 * coarse + 0.05 * fine
    eosin = stroma * (1 - nest) + cytoplasm * nest
    haem = 0.035 * (1 - nest) + (0.13 + 0.03 * coarse) * nest
    solid = _step(tissue + 3 * fine, 1.2)
    # a thin gap where nests shrank away from the stroma
    gap = np.exp(-((tumour + 5 * coarse + 2) ** 2) / 5.0) * _step(coarse - 0.6, 0.2)
    solid = solid * (1 - 0.7 * gap)
    if fat.max() > 0:
        lard = _step(fat, 4)
        wall = _fat_walls(section, mpp, x, y, w, h)
        solid, eosin = solid * (1 - lard) + lard * wall * (solid > 0.02), eosin * (1 - lard) + 0.42 * lard
    return haem.astype(np.float32), eosin.astype(np.float32), solid.astype(np.float32)


def _fat_walls(section: Layout, mpp: float, x: int, y: int, w: int, h: int) -> np.ndarray:
    """Membranes between fat cells, 0…1: where the two nearest cell centres are equally far. Worked out at 2 µm or coarser."""
    step, spacing = max(mpp, 2.0), 62.0
    rows, columns = int(np.ceil(h * mpp / step)) + 1, int(np.ceil(w * mpp / step)) + 1
    x0, y0 = x * mpp, y * mpp
    first = np.floor(np.array([x0, y0]) / spacing).astype(int) - 2
    count = np.ceil(np.array([columns, rows]) * step / spacing).astype(int) + 5
    grid = np.stack(np.meshgrid(*(first[k] + np.arange(count[k]) for k in (0, 1))), -1).reshape(-1, 2)
    shift = np.array([_hashed(section.seed, int(a), int(b)) for a, b in grid])
    centres = (grid + 0.5 + 0.62 * (shift - 0.5)) * spacing
    at = np.stack(np.meshgrid(x0 + (np.arange(columns) + 0.5) * step, y0 + (np.arange(rows) + 0.5) * step), -1)
    distance, _ = cKDTree(centres).query(at.reshape(-1, 2), k=2)
    edge = (distance[:, 1] - distance[:, 0]).reshape(rows, columns)
    wall = np.exp(-((edge / 3.2) ** 2)).astype(np.float32)
    return _stretched(wall, step / mpp, w, h)


def _hashed(*numbers: int) -> tuple[float, float]:
    value = zlib.crc32(np.array(numbers, np.int64).tobytes())
    return (value & 0xFFFF) / 65536, (value >> 16) / 65536


def _glands(section: Layout, mpp: float, x: int, y: int, haem: np.ndarray, eosin: np.ndarray, solid: np.ndarray) -> None:
    h, w = haem.shape
    for gland in section.glands:
        reach = 1.6 * gland[2]
        x0, x1 = int((gland[0] - reach) / mpp) - x, int((gland[0] + reach) / mpp) - x
        y0, y1 = int((gland[1] - reach) / mpp) - y, int((gland[1] + reach) / mpp) - y
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
        if x0 >= x1 or y0 >= y1:
            continue
        dx = ((np.arange(x0, x1) + x + 0.5) * mpp - gland[0])[None, :]
        dy = ((np.arange(y0, y1) + y + 0.5) * mpp - gland[1])[:, None]
        depth = outline(gland, np.arctan2(dy, dx)) - np.hypot(dx, dy)  # from the outer edge inwards
        inside, hollow = _step(depth, 0.8), _step(depth - WALL_UM, 0.9)
        part = np.s_[y0:y1, x0:x1]
        eosin[part] = eosin[part] * (1 - inside) + inside * 0.30
        haem[part] = haem[part] * (1 - inside) + inside * 0.12
        solid[part] = solid[part] * (1 - inside) + inside * (1 - 0.93 * hollow)
        basement = np.exp(-((depth + 1.5) ** 2) / 3.0)
        eosin[part] += 0.18 * basement


def _nuclei(cells: np.ndarray, mpp: float, x: int, y: int, haem: np.ndarray) -> None:
    """Lay every nucleus on: the darker of what is there and the nucleus."""
    h, w = haem.shape
    reach = 14.0 / mpp
    px, py = cells[:, 0] / mpp - x, cells[:, 1] / mpp - y
    near = (px > -reach) & (px < w + reach) & (py > -reach) & (py < h + reach)
    for cx, cy, kind, variant in zip(px[near], py[near], cells[near, 2].astype(int), _variant(cells[near]), strict=True):
        stamp = _stamps(kind, round(1000 * mpp))[variant]
        rows, columns = stamp.shape
        left, top = round(cx - columns / 2), round(cy - rows / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + columns, w), min(top + rows, h)
        if x0 < x1 and y0 < y1:
            part = haem[y0:y1, x0:x1]
            np.maximum(part, stamp[y0 - top : y1 - top, x0 - left : x1 - left], out=part)


def _variant(cells: np.ndarray) -> np.ndarray:
    """Which of the drawn nuclei of its kind each one is; its angle chooses among those that lie so."""
    turns = np.mod(cells[:, 3], np.pi) / np.pi
    return np.minimum((turns * _VARIANTS).astype(int), _VARIANTS - 1)


@lru_cache(maxsize=64)
def _stamps(kind: int, milli_mpp: int) -> tuple[np.ndarray, ...]:
    """All drawn nuclei of a kind at this resolution: amounts of haematoxylin."""
    factor = max(1, round(milli_mpp / 1000 / FINE_UM))
    made = []
    for stamp in _fine_stamps(kind):
        side = len(stamp) // factor * factor
        made.append(stamp[:side, :side].reshape(side // factor, factor, side // factor, factor).mean((1, 3)))
    return tuple(made)


@lru_cache(maxsize=8)
def _fine_stamps(kind: int) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng([7004, kind])
    return tuple(_fine_stamp(draw, kind, (variant + 0.5) / _VARIANTS * np.pi) for variant in range(_VARIANTS))


def _fine_stamp(draw: np.random.Generator, kind: int, angle: float) -> np.ndarray:
    """One nucleus at FINE_UM a pixel, 24 µm a side."""
    side = round(24 / FINE_UM)
    axis = (np.arange(side) + 0.5 - side / 2) * FINE_UM
    dx, dy = np.meshgrid(axis, axis)
    along, across = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
    turn = np.arctan2(across, along)
    if kind == TUMOUR:
        half, dark, mottle, wobble = (draw.uniform(4.6, 6.6), draw.uniform(3.6, 5.2)), draw.uniform(0.55, 0.9), 0.34, 0.10
    elif kind == LYMPHOCYTE:
        radius = draw.uniform(2.9, 3.6)
        half, dark, mottle, wobble = (radius, radius * draw.uniform(0.88, 1)), draw.uniform(1.25, 1.55), 0.10, 0.03
    elif kind == FIBROBLAST:
        half, dark, mottle, wobble = (draw.uniform(6.0, 9.5), draw.uniform(1.3, 1.9)), draw.uniform(0.8, 1.15), 0.12, 0.06
    else:
        half, dark, mottle, wobble = (draw.uniform(4.2, 5.4), draw.uniform(2.7, 3.4)), draw.uniform(0.8, 1.1), 0.22, 0.04
    bulge = 1 + sum(draw.normal(0, wobble / k) * np.cos(k * turn + draw.uniform(0, 6.3)) for k in (2, 3, 4))
    radius = np.hypot(along / half[0], across / half[1]) / bulge
    inside = 1 / (1 + np.exp((radius - 1) * min(half) / 0.22))
    chromatin = ndimage.gaussian_filter(draw.standard_normal((side, side)), 0.55 / FINE_UM)
    chromatin /= chromatin.std()
    made = dark * (1 + mottle * chromatin)
    rim = np.exp(-(((radius - 0.93) * min(half) / 0.5) ** 2))
    made += (0.22 if kind == TUMOUR else 0.1) * dark * rim
    if kind == TUMOUR:
        for _ in range(draw.integers(1, 3)):
            nx, ny = draw.normal(0, 1.5, 2)
            made += 0.55 * np.exp(-((along - nx) ** 2 + (across - ny) ** 2) / (2 * 0.75**2))
    return (inside * np.clip(made, 0.1, None)).astype(np.float32)


def _sampled(values: np.ndarray, mpp: float, x: int, y: int, w: int, h: int) -> np.ndarray:
    """A map at the pixels of a rectangle, smoothly between its cells and constant beyond its border."""
    pad = int(np.ceil((_MARGIN_UM + 2 * CELL_UM) / CELL_UM)) + 1
    scale = mpp / CELL_UM
    wide = Image.fromarray(np.pad(values.astype(np.float32), pad, mode="edge"))
    # Pillow samples at the middle of output pixels already; the padding moves the origin
    return np.asarray(
        wide.transform((w, h), Image.Transform.AFFINE, (scale, 0, x * scale + pad, 0, scale, y * scale + pad), Image.Resampling.BICUBIC)
    )


def _stretched(values: np.ndarray, factor: float, w: int, h: int) -> np.ndarray:
    return np.asarray(
        Image.fromarray(values).transform((w, h), Image.Transform.AFFINE, (1 / factor, 0, 0, 0, 1 / factor, 0), Image.Resampling.BILINEAR)
    )


@lru_cache(maxsize=8)
def _tile(which: int) -> np.ndarray:
    raw = np.random.default_rng([7005, which]).standard_normal((_NOISE, _NOISE)).astype(np.float32)
    if which != 3:
        raw = ndimage.gaussian_filter(raw, 2.0, mode="wrap")
    return raw / raw.std()


def _noise(which: int, x: int, y: int, w: int, h: int) -> np.ndarray:
    """A repeating sheet of noise, the same wherever the rectangle begins."""
    rows, columns = np.arange(y, y + h) % _NOISE, np.arange(x, x + w) % _NOISE
    return _tile(which)[rows[:, None], columns[None, :]]


def _clouds(mpp: float, x: int, y: int, w: int, h: int, scale_um: float) -> np.ndarray:
    """Smooth noise of that scale in µm, laid out in µm so that every resolution sees the same."""
    per_cell = scale_um / 5.0  # µm a pixel of the sheet, whose own correlation is about 5 pixels
    scale = mpp / per_cell
    x0, y0 = x * scale, y * scale
    columns, rows = int(np.ceil(w * scale)) + 4, int(np.ceil(h * scale)) + 4
    sheet = _noise(round(scale_um) + 10, int(np.floor(x0)) - 1, int(np.floor(y0)) - 1, columns, rows)
    offset = (x0 - np.floor(x0) + 1, y0 - np.floor(y0) + 1)
    return np.asarray(
        Image.fromarray(sheet).transform(
            (w, h), Image.Transform.AFFINE, (scale, 0, offset[0], 0, scale, offset[1]), Image.Resampling.BICUBIC
        )
    )


def _step(values: np.ndarray, width: float) -> np.ndarray:
    """From 0 to 1 around 0, over about four times `width`."""
    return 1 / (1 + np.exp(np.clip(-values / width, -30, 30)))
