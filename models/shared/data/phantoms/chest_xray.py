"""Chest-radiograph-like phantom: a frontal view as a sum of shadows, bone and soft tissue bright, air dark.

Classes and the signs that define them (inferred, for demonstration; no clinical truth):
- normal: clear lungs.
- mass: one to three round shadows (small ones are called nodules), faint, dense or calcified, with a smooth, lobulated, spiculated or ill-defined margin.
- effusion: a bright lake at a lung's foot whose surface rises towards the chest wall; the sharp angle beside the diaphragm is gone.
- pneumothorax-like: a black cap over a lung's apex without vessels, edged by a thin bright line.
The patient's right is image left. Zones are thirds of the lung's height. The healthy chest itself is drawn in `chest_shadows`.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, grid, soft, upsample
from models.shared.data.phantoms.chest_shadows import (
    body_of,
    bones,
    heart,
    lung,
    outward,
    pleura,
    soft_tissue,
    upright,
    vessels_of,
)
from models.shared.data.phantoms.facts import Family, Kind
from models.shared.data.phantoms.marks import write
from models.shared.data.phantoms.records import Lesion, Marker, Mask
from models.shared.data.phantoms.scene import SIDES, Geometry, Rendered, Scene, Spots

ZONES = ("upper", "middle", "lower")
_PLACES = tuple((side, zone) for zone in ZONES for side in ("right", "left"))
FAMILY = Family(
    name="chest_xray",
    title="chest-radiograph-like phantom",
    modality="chest radiograph",
    fov_mm=380.0,
    area="zone",
    zones=ZONES,
    kinds=(
        Kind("normal", noun="abnormal shadow"),
        Kind(
            "mass",
            noun="mass",
            small_noun="nodule",
            places=_PLACES,
            margins=("smooth", "lobulated", "spiculated", "ill-defined"),
            densities=("faint", "dense", "calcified"),
            counts=(1, 1, 1, 2, 3),
        ),
        Kind(
            "effusion",
            noun="pleural effusion",
            places=(("right", "lower"), ("left", "lower")),
            margins=("meniscus-shaped",),
            densities=("dense",),
            counts=(1,),
            placed=False,
        ),
        Kind(
            "pneumothorax-like",
            noun="pneumothorax-like air cap",
            places=(("right", "upper"), ("left", "upper")),
            margins=("sharp-edged",),
            densities=("black",),
            counts=(1,),
            placed=False,
        ),
    ),
    sizes_mm=MappingProxyType({"small": (15.0, 20.0), "medium": (26.0, 34.0), "large": (42.0, 52.0)}),
    cue="tag",
    cue_texts=("OPD", "ICU", "ER", "WARD"),
)
_BRIGHTNESS = {"faint": 0.20, "dense": 0.30, "calcified": 0.48, "black": 0.0}
_EDGE_MM = {"smooth": 4.0, "lobulated": 4.0, "spiculated": 5.0, "ill-defined": 12.0, "meniscus-shaped": 4.0, "sharp-edged": 4.0}
_LEVEL = {"small": 0.045, "medium": 0.08, "large": 0.115}
"""Size → how far an effusion rises above the diaphragm's dome, and how deep an air cap hangs, in 0…1 of the picture."""


def layout(dice: Dice) -> Geometry:
    """The numbers that place the anatomy, from the picture's own dice."""
    return {
        "mid": dice.uniform(0.49, 0.51),
        "top": dice.uniform(0.105, 0.16),
        "dome": dice.uniform(0.73, 0.82),
        "wide": dice.uniform(0.34, 0.40),
        "heart_y": dice.uniform(0.635, 0.665),
        "heart_r": dice.uniform(0.13, 0.175),
        "ribs": dice.uniform(0.0, 1.0),
        "pitch": dice.uniform(0.080, 0.092),
        "slope": dice.uniform(0.25, 0.5),
        "shoulder": dice.uniform(0.14, 0.18),
        "clavicle": dice.uniform(-0.01, 0.015),
        "fat": dice.uniform(0.0, 0.08),
        "breast": dice.uniform(0.0, 1.0),
        "bubble": dice.uniform(0.0, 1.0),
        "lean": dice.uniform(-0.05, 0.05),
        "contrast": dice.uniform(0.85, 1.1),
    }


def box(side: str, zone: str) -> tuple[float, float, float, float]:
    """Top, left, bottom, right in which the centre of a lesion is looked for."""
    top = {"upper": 0.18, "middle": 0.33, "lower": 0.52}[zone]
    left = 0.12 if side == "right" else 0.56
    return top, left, top + 0.24, left + 0.32


def home(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside the lung of a side (+1 left, −1 right), in 0…1 of the picture."""
    x = upright(g, y, x)
    return lung(g, side, y, x, pleura(g, side, y, x), heart(g, y, x))


def allowed(g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
    """Whether a lesion of a zone may have its centre there."""
    height = (g["dome"] - g["top"]) / 3
    above = g["top"] + height * spots.zone
    return (y > above + 0.012) & (y < above + height - 0.012)


def render(scene: Scene, dice: Dice) -> Rendered:
    """The picture as a sum of shadows, then film response and noise."""
    g, size = scene.geometry, scene.size
    y, x = grid(size)
    x = upright(g, y, x)
    core, cages = heart(g, y, x), {side: pleura(g, side, y, x) for side in (-1.0, 1.0)}
    lungs = {side: lung(g, side, y, x, cage, core) for side, cage in cages.items()}
    edge = 1.6 / size + 0.004  # how soft the lungs' outlines are
    airs = {side: soft(shape, edge) for side, shape in lungs.items()}
    air = np.maximum(airs[-1.0], airs[1.0])
    body = body_of(g, y, x)
    image = soft_tissue(g, y, x, core) - 0.40 * air
    vessels = vessels_of(g, dice, size)
    masks = _draw_lesions(scene, x, lungs, airs, image, vessels)
    image += vessels * air
    image += bones(g, y, x, np.maximum(cages[-1.0], cages[1.0])) * body * (0.35 + 0.65 * air)
    image += 0.035 * upsample(dice.normal(9, 9), size) * body
    image = blur(image, 0.0035 * size) + 0.018 * dice.normal(size, size) * (0.4 + image)
    image = 0.03 + np.maximum(image * g["contrast"], 0)
    image = image / (0.75 + 0.35 * image) * 1.05 * body + 0.02
    return Rendered(image, {"right lung": lungs[-1.0] > 0, "left lung": lungs[1.0] > 0}, masks)


def _draw_lesions(scene: Scene, x: Array, lungs: dict[float, Array], airs: dict[float, Array], image: Array, vessels: Array) -> Mask:
    """Adds the lesions' shadows to ``image`` and takes hidden ``vessels`` away, both in place. Returns the masks (L, H, W)."""
    shapes = np.empty(scene.rho.shape, np.float32)  # positive inside each lesion
    balls = _balls(scene)
    for i, row in enumerate(scene.rows):
        side = SIDES[scene.spots[i].side]
        own = {name: value[row : row + 1] for name, value in scene.geometry.items()}
        y, columns, level = grid(scene.size)[0], x[row : row + 1], _LEVEL[scene.spots[i].size]
        label = scene.facts[row].kind.label
        if label == "effusion":
            shapes[i] = _fluid(own, side, y, columns, level)[0]
            image[row] += 0.36 * soft(shapes[i], 0.022) * airs[side][row]
            vessels[row] *= 1 - soft(shapes[i], 0.02)
        elif label == "pneumothorax-like":
            shapes[i] = _air_cap(own, side, y, columns, level)[0]
            image[row] += (0.14 * bump(shapes[i], 0.0045) - 0.13 * soft(shapes[i], 0.006)) * airs[side][row]
            vessels[row] *= 1 - soft(shapes[i], 0.006)
        else:
            shapes[i] = 1 - scene.rho[i]
            image[row] += balls[i]
        shapes[i] = np.minimum(shapes[i], lungs[side][row])
    return shapes > 0


def _balls(scene: Scene) -> Array:
    """(L, H, W): the domed shadow a ball casts, as strong as its density says."""
    cover = scene.fill(scene.of(_EDGE_MM, "margin") / FAMILY.fov_mm)
    return cover * np.sqrt(np.clip(1.15 - scene.rho * scene.rho, 0.1, 1)) * scene.of(_BRIGHTNESS, "density")


def _fluid(g: Geometry, side: float, y: Array, x: Array, rise: float) -> Array:
    """Positive in the fluid: above the diaphragm, its surface climbing towards the chest wall."""
    u = np.clip((outward(g, side, x) - 0.08) / 0.27, 0, 1.2)
    return y - (g["dome"] + 0.01 - rise * 0.7 - 0.10 * u**3)


def _air_cap(g: Geometry, side: float, y: Array, x: Array, depth: float) -> Array:
    """Positive between the shrunken lung's edge and the chest wall, around the apex only."""
    u = outward(g, side, x)
    lowered = g["top"] + 0.03 + 0.9 * depth
    return lowered - y + 1.4 * (u - 0.19) ** 2 * np.sign(0.19 - u) * 0.6 + 0.9 * np.clip(u - 0.2, 0, None) ** 1.3


def marks(image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
    """The side letter a radiographer leaves on the film."""
    return (write(image, "R", "top left", brightness=0.95),)
