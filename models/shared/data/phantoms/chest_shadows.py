"""The healthy chest of the chest-radiograph-like phantom: outlines of lungs and heart, soft tissue, bones and vessels as shadows.

All shapes are inferred from how such films look. ``u`` is the distance outwards from the body's midline, y the row, both in 0…1 of
the picture; the geometry ``g`` is that of `chest_xray.layout`. Axes: B pictures, H rows, W columns.
"""

from __future__ import annotations

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, ellipse, grid, soft, strokes
from models.shared.data.phantoms.scene import Geometry

_TWIGS, _DROPS = 44, 40  # vessels of each lung, points of each


def upright(g: Geometry, y: Array, x: Array) -> Array:
    """Columns as they would be if the patient stood straight."""
    return x - g["lean"] * (y - 0.5)


def outward(g: Geometry, side: Array | float, x: Array) -> Array:
    """Distance from the midline towards a side (+1 left, −1 right)."""
    return (x - g["mid"]) * side


def pleura(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside the bony cage of one side: a tall dome, flatter at the chest wall."""
    u = outward(g, side, x)
    half = (g["wide"] - 0.03) / 2
    dy = np.maximum(0.62 - y, 0) / (0.62 - g["top"])
    # The apex leans towards the middle, so the dome's axis does too.
    du = np.abs(u - 0.03 - half + 0.05 * dy * dy) / half
    return (1 - dy * dy * np.sqrt(np.sqrt(dy)) - du * du * np.sqrt(du)) * (half * np.float32(0.4))


def lung(g: Geometry, side: Array | float, y: Array, x: Array, cage: Array, core: Array) -> Array:
    """Positive inside the lung: within the ``cage`` (`pleura`), beside mediastinum and heart (``core``), above the diaphragm."""
    # The mediastinum is wider where the great vessels leave (left: the aortic knob) and where the hila sit.
    knob = np.where(np.asarray(side) > 0, np.float32(0.034), np.float32(0.012))
    middle = 0.046 + knob * bump(y - 0.33, 0.05) + 0.026 * bump(y - 0.46, 0.075)
    free = np.minimum(outward(g, side, x) - middle, -core)
    return np.minimum(np.minimum(cage, free), diaphragm(g, side, x) - y)


def diaphragm(g: Geometry, side: Array | float, x: Array) -> Array:
    """Row of the diaphragm: a dome falling steeply towards the chest wall; the right one stands a little higher."""
    u = (outward(g, side, x) - 0.17) / 0.2
    return g["dome"] + 0.012 * side + 0.075 * u * u * (1 + 0.5 * u)


def heart(g: Geometry, y: Array, x: Array) -> Array:
    """Positive inside the heart's shadow: a tilted egg, its tip down on the patient's left, and the right edge beside the spine."""
    y = np.minimum(y, g["heart_y"] + 0.065)  # it rests on the diaphragm: no lung shows between the two
    dy, dx = y - g["heart_y"], x - g["mid"] - 0.052
    along, across = 0.80 * dx + 0.60 * dy, 0.80 * dy - 0.60 * dx
    long, short = g["heart_r"] * 1.12, g["heart_r"] * 0.80
    tip = (1 - np.sqrt((along / long) ** 2 + (across / (short * (1 - 0.9 * along))) ** 2)) * short
    right = ellipse(y, x, g["heart_y"] - 0.01, g["mid"] - 0.01, 0.12, g["heart_r"] * 0.60)
    return np.maximum(tip, right)


def body_of(g: Geometry, y: Array, x: Array) -> Array:
    """1 on the patient, 0 in free air beside neck and shoulders."""
    u = np.abs(x - g["mid"])
    rise = np.clip((y - 0.02) / g["shoulder"], 0, 1)
    half = 0.13 + 0.36 * rise * rise * (3 - 2 * rise) + 0.012 * np.cos(y * 9)
    return soft(half - u, 0.015)


def soft_tissue(g: Geometry, y: Array, x: Array, core: Array) -> Array:
    """Muscle and organs outside the lungs: denser in the middle, in the heart (``core``) and below the diaphragm."""
    u = np.abs(x - g["mid"])
    image = 0.50 + g["fat"] + 0.1 * y + 0.14 * bump(u, 0.09)
    below = np.minimum(y - diaphragm(g, -1.0, x), y - diaphragm(g, 1.0, x))
    image += 0.10 * soft(below, 0.03)
    image += 0.07 * soft(core, 0.03)
    image += 0.05 * soft(ellipse(y, x, 0.335, g["mid"] + 0.048, 0.045, 0.032), 0.015)
    image -= 0.13 * bump(x - g["mid"] - 0.004, 0.018) * soft(0.37 - y, 0.06) * soft(y - 0.02, 0.05)
    for side in (-1, 1):
        breast = ellipse(y, x, 0.66, g["mid"] + side * 0.23, 0.16, 0.17)
        image += 0.055 * g["breast"] * soft(breast, 0.02)
        image += 0.10 * bump((x - g["mid"]) * side - 0.41, 0.06) * bump(y - 0.27, 0.16)
    bubble = ellipse(y, x, g["dome"] + 0.095, g["mid"] + 0.17, 0.032, 0.06)
    return image - 0.22 * g["bubble"] * soft(bubble, 0.015)


def bones(g: Geometry, y: Array, x: Array, cage: Array) -> Array:
    """Ribs behind and in front, spine, clavicles, shoulder blades."""
    u = np.abs(x - g["mid"])
    inside = soft(cage + 0.022, 0.015) * soft(u - 0.035, 0.02)
    fall = g["slope"]
    # Behind, ribs leave the spine almost level and fall outwards; in front, they climb outwards from the breastbone.
    behind = (y - 0.09 * np.sin(u * 7.0) - fall * u * u * 2.2) / g["pitch"] + g["ribs"]
    front = (y + 0.75 * u - 1.15 * u * u) / (g["pitch"] * 1.12) + g["ribs"] * 1.7
    image = (0.105 * _band(behind) + 0.055 * _band(front) * soft(u - 0.10, 0.05) * soft(y - 0.22, 0.1)) * inside
    vertebra = 0.5 + 0.5 * np.cos(y * (2 * np.pi / 0.062))
    image += bump(x - g["mid"], 0.034) * (0.06 + 0.05 * vertebra)
    # Collar bones: S-shaped, from the breastbone outwards and up, with brighter edges.
    ridge = np.abs(y - (g["top"] + 0.105 + g["clavicle"] - 0.36 * u + 0.42 * u * u + 0.010 * np.sin(u * 22)))
    along = soft(u - 0.03, 0.02) * soft(0.38 - u, 0.03)
    image += (0.15 * soft(0.013 - ridge, 0.008) + 0.07 * bump(ridge - 0.011, 0.004)) * along
    blade = np.abs(u - 0.335 - 0.06 * np.sin((y - 0.15) * 5))
    image += 0.07 * soft(0.010 - blade, 0.012) * soft(y - 0.17, 0.05) * soft(0.42 - y, 0.08)
    return image


def _band(phase: Array) -> Array:
    """A rib's profile over its phase: a plateau with brighter cortical edges."""
    t = np.abs(phase - np.floor(phase) - 0.5)
    return soft(0.19 - t, 0.08) + 0.55 * bump(t - 0.17, 0.04)


def vessels_of(g: Geometry, dice: Dice, size: int) -> Array:
    """Branches fanning out of both hila, thinner and fainter with distance, and the hila themselves."""
    r = dice.even(4, 2 * _TWIGS, 1)
    side = np.where(np.arange(2 * _TWIGS) % 2, 1.0, -1.0).astype(np.float32)[None, :, None]
    t = np.linspace(0, 1, _DROPS, dtype=np.float32)
    angle = (r[:, 0] * 2 - 1) * 1.4 + 0.3
    length = 0.10 + 0.26 * r[:, 1]
    bend = (r[:, 2] - 0.5) * 1.6
    turned = angle + bend * t
    u = 0.068 + 0.02 * r[:, 3] + length * t * np.cos(turned)
    y = 0.455 + 0.11 * (r[:, 3] - 0.5) + length * t * 1.2 * np.sin(turned)
    weight = np.broadcast_to((1 - t) ** 0.9 * (0.35 + r[:, 1]), u.shape) * length * size / _DROPS
    x = g["mid"] + side * u + g["lean"] * (y - 0.5)
    flat = (len(r), -1)
    ink = strokes(y.reshape(flat), x.reshape(flat), weight.reshape(flat), size)
    thick, thin = blur(ink, 0.0085 * size), blur(ink, 0.004 * size)
    yy, xx = grid(size)
    hilum = bump(np.abs(xx - g["mid"]) - 0.085, 0.032) * bump(yy - 0.455, 0.065)
    ink = 0.55 * thick + 0.30 * thin
    return 0.26 * ink / (1 + 0.55 * ink) + 0.09 * hilum
