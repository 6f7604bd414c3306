"""Chest-radiograph-like phantom: a frontal view as a sum of shadows, bone and soft tissue bright, air dark.

Classes and the signs that define them (inferred, for demonstration; no clinical truth):
- normal: clear lungs.
- mass: one to three round shadows, faint, dense or calcified, with a smooth, lobulated, spiculated or ill-defined margin.
- effusion: a bright lake at a lung's foot whose surface rises towards the chest wall; the sharp angle beside the diaphragm is gone.
- pneumothorax-like: a black cap over a lung's apex without vessels, edged by a thin bright line.
The patient's right is image left. Zones are thirds of the lung's height.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, ellipse, grid, soft, strokes, upsample
from models.shared.data.phantoms.facts import Family, Kind
from models.shared.data.phantoms.marks import write
from models.shared.data.phantoms.records import Lesion, Marker, Mask
from models.shared.data.phantoms.scene import Geometry, Rendered, Scene, Spots

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
_TWIGS, _DROPS = 44, 40  # vessels of each lung, points of each


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


def _outward(g: Geometry, side: Array | float, x: Array) -> Array:
    return (x - g["mid"]) * side


def _pleura(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside the bony cage of one side: a tall dome, flatter at the chest wall."""
    u = _outward(g, side, x)
    half = (g["wide"] - 0.03) / 2
    dy = np.maximum(0.62 - y, 0) / (0.62 - g["top"])
    # The apex leans towards the middle, so the dome's axis does too.
    du = (u - 0.03 - half + 0.05 * dy * dy) / half
    return (1 - (np.abs(dy) ** 2.3 + np.abs(du) ** 2.6) ** 0.42) * half


def _diaphragm(g: Geometry, side: Array | float, x: Array) -> Array:
    """Row of the diaphragm: a dome falling steeply towards the chest wall; the right one stands a little higher."""
    u = (_outward(g, side, x) - 0.17) / 0.2
    return g["dome"] + 0.012 * side + 0.075 * u * u * (1 + 0.5 * u)


def _heart(g: Geometry, y: Array, x: Array) -> Array:
    """Positive inside the heart's shadow: a tilted egg, its tip down on the patient's left, and the right edge beside the spine."""
    y = np.minimum(y, g["heart_y"] + 0.065)  # it rests on the diaphragm: no lung shows between the two
    dy, dx = y - g["heart_y"], x - g["mid"] - 0.052
    along, across = 0.80 * dx + 0.60 * dy, 0.80 * dy - 0.60 * dx
    long, short = g["heart_r"] * 1.12, g["heart_r"] * 0.80
    tip = (1 - np.sqrt((along / long) ** 2 + (across / (short * (1 - 0.9 * along))) ** 2)) * short
    right = ellipse(y, x, g["heart_y"] - 0.01, g["mid"] - 0.01, 0.12, g["heart_r"] * 0.60)
    return np.maximum(tip, right)


def _inner(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive outside the mediastinum and the heart."""
    # Wider where the great vessels leave (left: the aortic knob) and where the hila sit.
    knob = np.where(np.asarray(side) > 0, np.float32(0.034), np.float32(0.012))
    edge = 0.046 + knob * bump(y - 0.33, 0.05) + 0.026 * bump(y - 0.46, 0.075)
    return np.minimum(_outward(g, side, x) - edge, -_heart(g, y, x))


def _upright(g: Geometry, y: Array, x: Array) -> Array:
    """Columns as they would be if the patient stood straight."""
    return x - g["lean"] * (y - 0.5)


def home(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside the lung of a side (+1 left, −1 right), in 0…1 of the picture."""
    return _lung(g, side, y, _upright(g, y, x))


def _lung(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    return np.minimum(np.minimum(_pleura(g, side, y, x), _inner(g, side, y, x)), _diaphragm(g, side, x) - y)


def allowed(g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
    """Whether a lesion of a zone may have its centre there."""
    height = (g["dome"] - g["top"]) / 3
    above = g["top"] + height * spots.zone
    return (y > above + 0.012) & (y < above + height - 0.012)


def render(scene: Scene, dice: Dice) -> Rendered:
    """The picture as a sum of shadows, then film response and noise."""
    g, size = scene.geometry, scene.size
    y, x = grid(size)
    x = _upright(g, y, x)
    sides = {-1.0: _lung(g, -1.0, y, x), 1.0: _lung(g, 1.0, y, x)}
    cages = {side: _pleura(g, side, y, x) for side in sides}
    lung = np.maximum(sides[-1.0], sides[1.0])
    rim = 1.6 / size + 0.004  # how soft the lungs' edges are
    air = soft(lung, rim)
    body = _body(g, y, x)
    image = _soft_tissue(g, y, x) - 0.40 * air
    vessels = _vessels(g, dice, size)
    masks, image, vessels = _draw_lesions(scene, sides, rim, image, vessels)
    image += vessels * air
    image += _bones(g, y, x, np.maximum(cages[-1.0], cages[1.0])) * body * (0.35 + 0.65 * air)
    image += 0.035 * upsample(dice.normal(9, 9), size) * body
    image = blur(image, 0.0035 * size) + 0.018 * dice.normal(size, size) * (0.4 + image)
    image = 0.03 + np.clip(image * g["contrast"], 0, None)
    image = image / (0.75 + 0.35 * image) * 1.05 * body + 0.02
    return Rendered(image, {"right lung": sides[-1.0] > 0, "left lung": sides[1.0] > 0}, masks)


def _body(g: Geometry, y: Array, x: Array) -> Array:
    """1 on the patient, 0 in free air beside neck and shoulders."""
    u = np.abs(x - g["mid"])
    rise = np.clip((y - 0.02) / g["shoulder"], 0, 1)
    half = 0.13 + 0.36 * rise * rise * (3 - 2 * rise) + 0.012 * np.cos(y * 9)
    return soft(half - u, 0.015)


def _soft_tissue(g: Geometry, y: Array, x: Array) -> Array:
    """Muscle and organs outside the lungs: denser in the middle and below the diaphragm."""
    u = np.abs(x - g["mid"])
    image = 0.50 + g["fat"] + 0.1 * y + 0.14 * bump(u, 0.09)
    below = np.minimum(y - _diaphragm(g, -1.0, x), y - _diaphragm(g, 1.0, x))
    image += 0.10 * soft(below, 0.03)
    image += 0.07 * soft(_heart(g, y, x), 0.03)
    image += 0.05 * soft(ellipse(y, x, 0.335, g["mid"] + 0.048, 0.045, 0.032), 0.015)
    image -= 0.13 * bump(x - g["mid"] - 0.004, 0.018) * soft(0.37 - y, 0.06) * soft(y - 0.02, 0.05)
    for side in (-1, 1):
        breast = ellipse(y, x, 0.66, g["mid"] + side * 0.23, 0.16, 0.17)
        image += 0.055 * g["breast"] * soft(breast, 0.02)
        image += 0.10 * bump((x - g["mid"]) * side - 0.41, 0.06) * bump(y - 0.27, 0.16)
    bubble = ellipse(y, x, g["dome"] + 0.095, g["mid"] + 0.17, 0.032, 0.06)
    return image - 0.22 * g["bubble"] * soft(bubble, 0.015)


def _bones(g: Geometry, y: Array, x: Array, cage: Array) -> Array:
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


def _vessels(g: Geometry, dice: Dice, size: int) -> Array:
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


def _draw_lesions(scene: Scene, lungs: dict[float, Array], edge_width: float, image: Array, vessels: Array) -> tuple[Mask, Array, Array]:
    """Adds the lesions' shadows. Returns their masks (L, H, W), the picture and the vessels that are left."""
    g, size = scene.geometry, scene.size
    y, straight = grid(size)
    x = _upright(g, y, straight)
    masks = np.zeros((len(scene.spots), size, size), bool)
    edge = scene.of(_EDGE_MM, "margin") / FAMILY.fov_mm
    cover, strength = scene.fill(edge), scene.of(_BRIGHTNESS, "density")
    depth = np.sqrt(np.clip(1.15 - scene.rho * scene.rho, 0.1, 1))  # a ball casts a domed shadow
    for rows, chosen in scene.layers():
        for i, row in zip(chosen, rows, strict=True):
            side = 1.0 if scene.spots[i].side == "left" else -1.0
            own, lung = {k: v[row : row + 1] for k, v in g.items()}, lungs[side][row]
            own_air = soft(lung, edge_width)
            label = scene.facts[row].kind.label
            if label == "mass":
                masks[i] = (scene.rho[i] < 1) & (lung > 0)
                image[row] += cover[i] * depth[i] * strength[i]
            elif label == "effusion":
                fluid = _fluid(own, side, y, x[row : row + 1], _LEVEL[scene.spots[i].size])[0]
                masks[i] = (fluid > 0) & (lung > 0)
                image[row] += 0.36 * soft(fluid, 0.022) * own_air
                vessels[row] *= 1 - soft(fluid, 0.02)
            else:
                gap = _air_cap(own, side, y, x[row : row + 1], _LEVEL[scene.spots[i].size])[0]
                masks[i] = (gap > 0) & (lung > 0)
                image[row] += (0.14 * bump(gap, 0.0045) - 0.13 * soft(gap, 0.006)) * own_air
                vessels[row] *= 1 - soft(gap, 0.006)
    return masks, image, vessels


def _fluid(g: Geometry, side: float, y: Array, x: Array, rise: float) -> Array:
    """Positive in the fluid: above the diaphragm, its surface climbing towards the chest wall."""
    u = np.clip((_outward(g, side, x) - 0.08) / 0.27, 0, 1.2)
    return y - (g["dome"] + 0.01 - rise * 0.7 - 0.10 * u**3)


def _air_cap(g: Geometry, side: float, y: Array, x: Array, depth: float) -> Array:
    """Positive between the shrunken lung's edge and the chest wall, around the apex only."""
    u = _outward(g, side, x)
    lowered = g["top"] + 0.03 + 0.9 * depth
    return lowered - y + 1.4 * (u - 0.19) ** 2 * np.sign(0.19 - u) * 0.6 + 0.9 * np.clip(u - 0.2, 0, None) ** 1.3


def marks(image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
    """The side letter a radiographer leaves on the film."""
    return (write(image, "R", "top left", brightness=0.95),)
