"""Liver-CT-like phantom: an axial slice of the upper belly, bone white, contrast-filled vessels and organs grey, fat dark, air black.

Classes and the signs that define them (inferred, for demonstration; no clinical truth):
- none: an even liver with its vessels.
- cyst-like: smooth or lobulated, water-dark or dark, sharp edge.
- metastasis-like: ill-defined or lobulated, slightly dark or target-like (a dark core in a paler rim), often several.
- haemangioma-like: lobulated or smooth, bright-rimmed (bright lumps along its edge) or bright.
The patient's right is image left, the belly's front is on top, seen from the feet. Side means the liver's lobe: the lobes meet at
a plane that is drawn anew for each picture, right of the body's middle; the organ masks tell it. Each lobe has two zones.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, ellipse, grid, lay, meet, soft, strokes, upsample, window
from models.shared.data.phantoms.facts import Family, Kind
from models.shared.data.phantoms.marks import write
from models.shared.data.phantoms.records import Lesion, Marker, Mask
from models.shared.data.phantoms.scene import Geometry, Rendered, Scene, Spots

ZONES = ("anterior", "posterior", "medial", "lateral")
_PLACES = (("right", "anterior"), ("right", "posterior"), ("left", "medial"), ("left", "lateral"))
FAMILY = Family(
    name="liver_ct",
    title="liver-CT-like phantom",
    modality="liver CT",
    fov_mm=360.0,
    area="section",
    zones=ZONES,
    kinds=(
        Kind("none", noun="liver lesion"),
        Kind(
            "cyst-like",
            noun="lesion",
            places=_PLACES,
            margins=("smooth", "lobulated"),
            densities=("water-dark", "dark"),
            counts=(1, 1, 2, 3),
        ),
        Kind(
            "metastasis-like",
            noun="lesion",
            places=_PLACES,
            margins=("ill-defined", "lobulated"),
            densities=("slightly dark", "target-like"),
            counts=(1, 2, 2, 3),
        ),
        Kind(
            "haemangioma-like",
            noun="lesion",
            places=_PLACES,
            margins=("smooth", "lobulated"),
            densities=("bright-rimmed", "bright"),
            counts=(1, 1, 1, 2),
        ),
    ),
    sizes_mm=MappingProxyType({"small": (14.0, 18.0), "medium": (23.0, 28.0), "large": (34.0, 40.0)}),
    cue="tag",
    cue_texts=("80KV", "100KV", "120KV", "140KV"),
)
_TONE = {"water-dark": 0.20, "dark": 0.31, "slightly dark": 0.44, "target-like": 0.36, "bright-rimmed": 0.40, "bright": 0.86}
_EDGE_MM = {"smooth": 2.0, "lobulated": 2.2, "ill-defined": 7.0}
_TWIGS, _DROPS = 34, 36  # vessels of the liver, points of each


def layout(dice: Dice) -> Geometry:
    """The numbers that place the anatomy, from the picture's own dice."""
    return {
        "mid": dice.uniform(0.49, 0.51),
        "cy": dice.uniform(0.49, 0.51),
        "ry": dice.uniform(0.33, 0.36),
        "rx": dice.uniform(0.44, 0.47),
        "fat": dice.uniform(0.020, 0.045),
        "split": dice.uniform(0.415, 0.435),
        "slant": dice.uniform(-0.12, 0.02),
        "reach": dice.uniform(0.625, 0.68),
        "stomach": dice.uniform(0.0, 1.0),
        "air": dice.uniform(-0.02, 0.02),
        "liver": dice.uniform(0.57, 0.63),
        "ribs": dice.uniform(0.0, 6.28),
        "kidney": dice.uniform(0.0, 1.0),
    }


def box(side: str, zone: str) -> tuple[float, float, float, float]:
    """Top, left, bottom, right in which the centre of a lesion is looked for."""
    return {
        "anterior": (0.24, 0.13, 0.51, 0.43),
        "posterior": (0.46, 0.10, 0.76, 0.42),
        "medial": (0.24, 0.40, 0.46, 0.54),
        "lateral": (0.24, 0.49, 0.46, 0.68),
    }[zone]


def _wall(g: Geometry, y: Array, x: Array) -> Array:
    """Depth below the skin in 0…1 of the picture: a flattened oval."""
    dy, dx = np.abs(y - g["cy"]) / g["ry"], np.abs(x - g["mid"]) / g["rx"]
    return (1 - (dy**2.35 + dx**2.35) ** np.float32(1 / 2.35)) * g["ry"]


def _liver(g: Geometry, y: Array, x: Array) -> Array:
    """Positive inside the liver: it fills the right of the cavity and thins out to the left in front."""
    cavity = _wall(g, y, x) - g["fat"] - 0.055
    big = ellipse(y, x, 0.50, 0.275, 0.30, 0.215)
    # The left lobe: below the front wall, its under-surface rising towards its tip.
    tip = np.clip((x - 0.36) / (g["reach"] - 0.36), 0, 1.3)
    under = 0.485 - 0.105 * tip * tip - y
    left = meet(meet(under, g["reach"] + 0.06 - x - 0.45 * (y - 0.25), 0.06), x - 0.26, 0.02)
    shape = -meet(-big, -left, 0.05)
    return meet(shape, cavity, 0.02)


def _lobe(g: Geometry, y: Array, x: Array) -> Array:
    """Positive in the left lobe: distance to the plane between the lobes."""
    return x - g["split"] - g["slant"] * (y - 0.4)


def home(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside a lobe of the liver (+1 left, −1 right), in 0…1 of the picture."""
    return np.minimum(_liver(g, y, x), _lobe(g, y, x) * side)


def allowed(g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
    """Whether a lesion of a zone may have its centre there."""
    level, plane = 0.49, 0.525
    zone = spots.zone
    front, back = (zone == 0) & (y < level - 0.01), (zone == 1) & (y > level + 0.01)
    inner, outer = (zone == 2) & (x < plane - 0.008), (zone == 3) & (x > plane + 0.008)
    return front | back | inner | outer


def render(scene: Scene, dice: Dice) -> Rendered:
    """Organs painted from the back to the front of the list, then noise."""
    g, size = scene.geometry, scene.size
    y, x = grid(size)
    wall, liver, lobe = _wall(g, y, x), _liver(g, y, x), _lobe(g, y, x)
    texture = upsample(dice.normal(24, 24), size)
    image = _trunk(g, y, x, wall, texture)
    _spine(g, image)
    _left_organs(g, image, wall, texture)
    _behind_organs(g, image)
    inside = soft(liver, 0.008)
    lay(image, g["liver"] + 0.010 * texture + 0.16 * _vessels(g, dice, size), inside)
    image -= 0.2 * bump(lobe - 0.095, 0.006) * soft(y - 0.36, 0.03) * inside
    lobes = {"right": (liver > 0) & (lobe < 0), "left": (liver > 0) & (lobe >= 0)}
    masks = _draw_lesions(scene, lobes, image)
    # Reconstruction smooths picture and noise alike; a little noise stays as fine as the pixels.
    image += 0.058 * dice.normal(size, size)
    image = blur(image, max(0.0036 * size, 0.4)) + 0.012 * dice.normal(size, size) * soft(wall + 0.01, 0.02)
    return Rendered(image, {"liver": liver > 0, "right lobe": lobes["right"], "left lobe": lobes["left"]}, masks)


def _trunk(g: Geometry, y: Array, x: Array, wall: Array, texture: Array) -> Array:
    """The table underneath, skin, fat, muscle with the ribs, the fat inside."""
    image = np.zeros_like(wall) + 0.16 * soft(0.006 - np.abs(y - 0.90 + 0.25 * (x - 0.5) ** 2), 0.006)
    lay(image, 0.50, soft(wall, 0.006))
    lay(image, 0.20 + 0.012 * texture, soft(wall - 0.008, 0.006))
    lay(image, 0.50 + 0.02 * texture, soft(wall - g["fat"], 0.006))
    # Ribs cut at a slant: ovals of uneven length and depth around the wall.
    angle = np.arctan2((y - g["cy"]) * 1.3, x - g["mid"])
    turn = 15 * angle + 1.6 * np.sin(2 * angle + g["ribs"]) + g["ribs"]
    ring = wall - g["fat"] - 0.027 - 0.006 * np.sin(3 * angle + 2 * g["ribs"])
    oval = 0.9 - (ring / 0.011) ** 2 - (np.sin(turn / 2) / (0.52 + 0.14 * np.sin(5 * angle + g["ribs"]))) ** 2
    front = soft(np.abs(x - g["mid"]) - 0.15, 0.05)
    image += (0.38 * soft(oval, 0.5) - 0.10 * soft(oval - 0.55, 0.3)) * front
    lay(image, 0.20 + 0.02 * texture, soft(wall - g["fat"] - 0.050, 0.008))
    return image


def _spine(g: Geometry, picture: Array) -> None:
    """Back muscles, the vertebra with its arch and processes, the canal."""
    image, y, x = window(picture, 0.56, 0.30, 0.87, 0.70)
    across = np.abs(x - g["mid"])
    lay(image, 0.49, soft(ellipse(y, across, 0.755, 0.085, 0.062, 0.072), 0.01))
    body = ellipse(y, across, 0.645, 0.0, 0.050, 0.060)
    arch = np.minimum(0.016 - np.abs(across - 0.048 - 0.4 * (y - 0.70)), 0.05 - np.abs(y - 0.715))
    spike = np.minimum(0.010 - across, 0.055 - np.abs(y - 0.785))
    limb = np.minimum(0.011 - np.abs(y - 0.725 - 0.25 * (across - 0.06)), 0.055 - np.abs(across - 0.08))
    lay(image, 0.93, soft(np.maximum(np.maximum(arch, spike), limb), 0.008))
    lay(image, 0.78, soft(body, 0.008))
    image += 0.2 * bump(body, 0.008)
    lay(image, 0.44, soft(ellipse(y, across, 0.717, 0.0, 0.020, 0.024), 0.008))


def _left_organs(g: Geometry, picture: Array, wall: Array, texture: Array) -> None:
    """Spleen and stomach; the air in the stomach rises to the front and ends in a level line."""
    area = (0.24, 0.52, 0.80, 0.92)
    image, y, x = window(picture, *area)
    cavity, grain = window(wall, *area)[0] - g["fat"] - 0.055, window(texture, *area)[0]
    spleen = np.minimum(np.minimum(ellipse(y, x, 0.60, 0.79, 0.15, 0.085), -ellipse(y, x, 0.57, 0.69, 0.10, 0.075)), cavity)
    stomach = np.minimum(ellipse(y, x, 0.40, 0.70, 0.125, 0.115 + 0.03 * g["stomach"]), cavity)
    gas = np.minimum(ellipse(y, x, 0.385, 0.70, 0.10, 0.09 + 0.03 * g["stomach"]), 0.355 + g["air"] - y)
    lay(image, 0.66 + 0.012 * grain, soft(spleen, 0.008))
    lay(image, 0.55, soft(stomach, 0.008))
    lay(image, 0.40 + 0.05 * grain, soft(stomach - 0.014, 0.008))
    lay(image, 0.0, soft(gas, 0.006))


def _behind_organs(g: Geometry, picture: Array) -> None:
    """Kidneys where the slice reaches them, the diaphragm's crura, aorta and vena cava."""
    image, y, x = window(picture, 0.50, 0.25, 0.75, 0.75)
    across = x - g["mid"]
    for side in (-1, 1):
        here = soft(g["kidney"] - 0.4 + 0.1 * side, 0.1)
        lay(image, 0.80, soft(ellipse(y, across, 0.665, side * 0.165, 0.062, 0.048), 0.008) * here)
        lay(image, 0.42, soft(ellipse(y, across, 0.665, side * 0.150, 0.026, 0.024), 0.012) * here)
    crus = 0.011 - np.abs(np.hypot(across - 0.01, (y - 0.62) * 0.9) - 0.085)
    lay(image, 0.50, soft(np.minimum(crus, 0.62 - y), 0.006) * soft(y - 0.53, 0.01))
    lay(image, 0.84, soft(ellipse(y, across, 0.578, 0.028, 0.026, 0.027), 0.007))
    lay(image, 0.70, soft(ellipse(y, across, 0.555, -0.065, 0.024, 0.032), 0.007))


def _vessels(g: Geometry, dice: Dice, size: int) -> Array:
    """Branches fanning out from the liver's gate into both lobes."""
    r = dice.even(4, _TWIGS, 1)
    t = np.linspace(0, 1, _DROPS, dtype=np.float32)
    angle = np.float32(np.pi) * (0.55 + 1.35 * r[:, 0])
    length = 0.10 + 0.17 * r[:, 1]
    turned = angle + (r[:, 2] - 0.5) * 1.8 * t
    y = 0.48 + 0.10 * (r[:, 2] - 0.5) + length * t * np.sin(turned) * 1.1
    x = 0.40 - 0.16 * r[:, 3] + length * t * np.cos(turned)
    weight = np.broadcast_to((1 - t) ** 0.7 * (0.4 + r[:, 1]), x.shape) * length * size / _DROPS
    flat = (len(r), -1)
    ink = strokes(y.reshape(flat), x.reshape(flat), weight.reshape(flat), size)
    ink = 1.15 * blur(ink, max(0.0052 * size, 0.5))
    return 1.5 * ink * ink / (0.5 + ink * ink)


def _draw_lesions(scene: Scene, lobes: dict[str, Mask], image: Array) -> Mask:
    """Paints the lesions into the liver. Returns their masks (L, H, W)."""
    masks = np.zeros(scene.rho.shape, bool)
    cover = scene.fill(scene.of(_EDGE_MM, "margin") / FAMILY.fov_mm)
    tone = scene.of(_TONE, "density") + _details(scene)
    for rows, chosen in scene.layers():
        now = image[rows]
        image[rows] = now + (tone[chosen] - now) * cover[chosen]
        for i, row in zip(chosen, rows, strict=True):
            masks[i] = (scene.rho[i] < 1) & lobes[scene.spots[i].side][row]
    return masks


def _details(scene: Scene) -> Array:
    """(L, H, W): the pale rim of a target, the bright lumps along a haemangioma's edge."""
    y, x = grid(scene.size)
    target = scene.of({name: float(name == "target-like") for name in _TONE}, "density")
    rimmed = scene.of({name: float(name == "bright-rimmed") for name in _TONE}, "density")
    angle = np.arctan2(y - scene.centre[:, 0, None, None], x - scene.centre[:, 1, None, None])
    turn = scene.random[:, 13, None, None] * 6
    lumps = np.clip(0.45 + 0.4 * np.cos(5 * angle + turn) + 0.3 * np.cos(3 * angle - 2 * turn) - 0.2 * np.cos(2 * angle + 3 * turn), 0, 1)
    return 0.20 * target * soft(scene.rho - 0.62, 0.25) + 0.62 * rimmed * lumps * soft(scene.rho - 0.66, 0.3)


def marks(image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
    """The side letter, as a scanner writes it."""
    return (write(image, "R", "top left", brightness=0.8),)
