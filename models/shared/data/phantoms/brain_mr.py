"""Brain-MR-like phantom: an axial T1-weighted slice after contrast, fat and white matter bright, fluid and bone dark.

Classes and the signs that define them (inferred, for demonstration; no clinical truth):
- none: no tumour.
- glioma-like: inside the brain, ill-defined or lobulated, dark or ring-enhancing, with a dark halo of swelling.
- meningioma-like: against the skull, smooth or lobulated, bright or mildly bright all through, sharp edge.
- pituitary-like: small, smooth, bright or mildly bright, on the midline below the ventricles.
The patient's right is image left, the forehead is on top. Zones are thirds of the brain from front to back.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, ellipse, grid, lay, soft, upsample
from models.shared.data.phantoms.facts import Family, Kind
from models.shared.data.phantoms.marks import write
from models.shared.data.phantoms.records import Lesion, Marker, Mask
from models.shared.data.phantoms.scene import Geometry, Rendered, Scene, Spots

ZONES = ("frontal", "central", "occipital", "sellar")
_PLACES = tuple((side, zone) for zone in ZONES[:3] for side in ("right", "left"))
FAMILY = Family(
    name="brain_mr",
    title="brain-MR-like phantom",
    modality="brain MR",
    fov_mm=220.0,
    area="region",
    zones=ZONES,
    kinds=(
        Kind("none", noun="tumour"),
        Kind(
            "glioma-like",
            noun="tumour",
            places=_PLACES,
            margins=("ill-defined", "lobulated"),
            densities=("dark", "ring-enhancing"),
            counts=(1, 1, 1, 2),
        ),
        Kind(
            "meningioma-like",
            noun="tumour",
            places=_PLACES,
            margins=("smooth", "lobulated"),
            densities=("bright", "mildly bright"),
            counts=(1, 1, 1, 2),
        ),
        Kind(
            "pituitary-like",
            noun="tumour",
            places=(("midline", "sellar"),),
            margins=("smooth",),
            densities=("bright", "mildly bright"),
            sizes=("small", "medium"),
            counts=(1,),
        ),
    ),
    sizes_mm=MappingProxyType({"small": (11.0, 14.0), "medium": (19.0, 24.0), "large": (31.0, 38.0)}),
    cue="border",
)
_SIGNAL = {"dark": 0.26, "ring-enhancing": 0.30, "bright": 0.93, "mildly bright": 0.74}
_RIM = {"dark": 0.0, "ring-enhancing": 0.62, "bright": 0.0, "mildly bright": 0.0}
_EDGE_MM = {"smooth": 1.6, "lobulated": 1.8, "ill-defined": 6.0}
_SWELLING = {"ill-defined": 0.55, "lobulated": 0.45, "smooth": 0.0}
_FLUID, _GREY, _WHITE = 0.13, 0.43, 0.66


def layout(dice: Dice) -> Geometry:
    """The numbers that place the anatomy, from the picture's own dice."""
    return {
        "mid": dice.uniform(0.492, 0.508),
        "cy": dice.uniform(0.485, 0.505),
        "ry": dice.uniform(0.425, 0.455),
        "rx": dice.uniform(0.345, 0.385),
        "egg": dice.uniform(0.04, 0.16),
        "bone": dice.uniform(0.055, 0.085),
        "vent": dice.uniform(0.75, 1.35),
        "vent_y": dice.uniform(-0.015, 0.015),
        "atrophy": dice.uniform(0.7, 1.3),
        "turn": dice.uniform(-0.1, 0.1),
        "contrast": dice.uniform(0.9, 1.1),
    }


def box(side: str, zone: str) -> tuple[float, float, float, float]:
    """Top, left, bottom, right in which the centre of a lesion is looked for."""
    if zone == "sellar":
        return 0.53, 0.485, 0.57, 0.515
    top = {"frontal": 0.11, "central": 0.36, "occipital": 0.58}[zone]
    left = 0.17 if side == "right" else 0.51
    return top, left, top + 0.29, left + 0.32


def _head(g: Geometry, y: Array, x: Array) -> Array:
    """1 in the middle of the head, 0 on the skin: an egg, narrower in front."""
    dy = (y - g["cy"]) / g["ry"]
    dx = (x - g["mid"]) / (g["rx"] * (1 + g["egg"] * dy * 0.7))
    return 1 - np.sqrt(dy * dy + dx * dx)


def _rind(g: Geometry) -> Array:
    """Depth of the brain's surface below the skin, in the unit of `_head`."""
    return 0.085 + g["bone"]


def _straight(g: Geometry, y: Array, x: Array) -> tuple[Array, Array]:
    """Rows and columns as they would be if the head were not turned."""
    dy, dx = y - 0.5, x - 0.5
    cos, sin = np.cos(g["turn"]), np.sin(g["turn"])
    return 0.5 + cos * dy - sin * dx, 0.5 + sin * dy + cos * dx


def home(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive inside the brain, in 0…1 of the picture."""
    return (_head(g, *_straight(g, y, x)) - _rind(g)) * g["rx"]


def allowed(g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
    """Whether a lesion may have its centre there: in its third, off the midline, meningiomas only near the skull."""
    depth = home(g, 0.0, y, x)
    y, x = _straight(g, y, x)
    front, height = g["cy"] - g["ry"] * 0.84, g["ry"] * 0.56
    above = front + height * spots.zone
    third = (y > above + 0.01) & (y < above + height - 0.01)
    off = np.abs(x - g["mid"])
    sellar = spots.zone == 3
    near = depth < spots.radius * 1.12 + 0.010
    glioma, meningioma = spots.label == 1, spots.label == 2
    right_place = np.where(meningioma, near, ~glioma | (off > 0.8 * spots.radius + 0.02)) & (off > 0.055)
    return np.where(sellar, off < 0.02, third & right_place)


def render(scene: Scene, dice: Dice) -> Rendered:
    """Tissue by tissue from the skin inwards, then the tumours, the coil's uneven brightness and Rician noise."""
    g, size = scene.geometry, scene.size
    y, x = _straight(g, *grid(size))
    head = _head(g, y, x)
    depth = head - _rind(g)
    folds, texture = _folds(g, dice, y, x, size), upsample(dice.normal(20, 20), size)
    brain = _brain(g, y, x, depth, folds) + 0.018 * texture
    image = _shell(g, head, folds) + 0.03 * texture * soft(head, 0.02)
    inside = soft(depth, 0.02)
    lay(image, brain, inside)
    masks, image = _draw_lesions(scene, depth, image)
    image = blur(image, 0.0042 * size)
    image *= 1 + 0.10 * upsample(dice.normal(3, 3), size)
    noise = dice.normal(2, size, size) * np.float32(0.022)
    image = np.sqrt((image * g["contrast"] + noise[:, 0]) ** 2 + noise[:, 1] ** 2)
    left = x > g["mid"]
    organs = {"brain": depth > 0, "right hemisphere": (depth > 0) & ~left, "left hemisphere": (depth > 0) & left}
    return Rendered(image, organs, masks)


def _folds(g: Geometry, dice: Dice, y: Array, x: Array, size: int) -> Array:
    """A smooth field whose zero lines run where the furrows go: inwards from the surface, winding, no two alike."""
    winding, broken = upsample(dice.normal(7, 7), size), upsample(dice.normal(15, 15), size)
    angle = np.arctan2(y - g["cy"], np.abs(x - g["mid"]))
    return 0.75 * np.cos(11 * angle + 1.9 * winding) + 0.42 * broken


def _shell(g: Geometry, head: Array, folds: Array) -> Array:
    """Scalp, bone with its marrow, and the dark rim of fluid under it."""
    scalp = 0.80 * bump(head - 0.035, 0.035) * soft(head, 0.02)
    marrow = 0.16 * bump(head - 0.085 - g["bone"] * 0.35, 0.016)
    return scalp * soft(0.09 - head, 0.03) + 0.05 * soft(head, 0.02) + marrow


def _brain(g: Geometry, y: Array, x: Array, depth: Array, folds: Array) -> Array:
    """Fluid, grey ribbon and white matter; fluid spaces in the middle; the deep grey nuclei."""
    across = np.abs(x - g["mid"])
    cleft = across / 0.16 + 0.06 * np.abs(folds) + np.clip(0.25 - np.abs(y - g["cy"]), 0, 1) * 6
    ribbon = np.abs(folds) * (0.09 + 0.30 * np.clip(depth, 0, 1)) + 0.8 * np.clip(depth - 0.20, 0, 1)
    surface = np.minimum(np.minimum(depth * 0.75, cleft * 0.5), ribbon)
    furrow = 0.018 * g["atrophy"]
    image = _FLUID + (_GREY - _FLUID) * soft(surface - furrow, 0.018)
    image += (_WHITE - _GREY) * soft(surface - furrow - 0.060, 0.028)
    return _fluid_spaces(g, y, x, _nuclei(g, y, x, across, image), across)


def _nuclei(g: Geometry, y: Array, x: Array, across: Array, image: Array) -> Array:
    cy = g["cy"] + g["vent_y"]
    thalamus = ellipse(y, across, cy + 0.035, 0.042, 0.058, 0.034)
    lentiform = ellipse(y, across, cy - 0.015, 0.125, 0.062, 0.032)
    caudate = ellipse(y, across, cy - 0.085, 0.062, 0.035, 0.020)
    insula = 0.012 - np.abs(across - 0.195 + 1.6 * (y - cy + 0.02) ** 2) - np.clip(np.abs(y - cy + 0.01) - 0.08, 0, 1)
    for part, level in ((thalamus, 0.50), (lentiform, 0.49), (caudate, 0.47), (insula, 0.46)):
        lay(image, level, soft(part, 0.012))
    return image


def _fluid_spaces(g: Geometry, y: Array, x: Array, image: Array, across: Array) -> Array:
    """Front and back horns of the ventricles, the slit between the thalami, the fissure beside the insula."""
    cy, width = g["cy"] + g["vent_y"], g["vent"]
    dy = y - (cy - 0.075)
    horn = 0.016 * width * soft(0.075 - np.abs(dy), 0.05) - np.abs(across - 0.024 + 0.30 * dy)
    dz = y - (cy + 0.15)
    back = 0.019 * width * soft(0.065 - np.abs(dz), 0.05) - np.abs(across - 0.088 - 0.35 * dz + 2.5 * dz * dz)
    slit = np.minimum(0.0055 * width - across, 0.06 - np.abs(y - cy - 0.03))
    sylvian = np.minimum(
        0.006 * g["atrophy"] - np.abs(across - 0.212 + 1.6 * (y - cy + 0.02) ** 2 - 0.006 * np.sin(y * 70)), 0.09 - np.abs(y - cy + 0.01)
    )
    plexus = bump(across - 0.095, 0.010) * bump(dz, 0.02)
    fluid = np.maximum(np.maximum(soft(horn, 0.009), soft(back, 0.009)), np.maximum(soft(slit, 0.006), 0.8 * soft(sylvian, 0.008)))
    return image + (_FLUID - image) * fluid + 0.28 * plexus * soft(back, 0.01)


def _draw_lesions(scene: Scene, depth: Array, image: Array) -> tuple[Mask, Array]:
    """Puts swelling and tumours into the picture. Returns masks (L, H, W) and the picture."""
    own = scene.picked(depth)
    masks = (scene.rho < 1) & (own > 0)
    inside = soft(own, 0.02)
    cover = scene.fill(scene.of(_EDGE_MM, "margin") / FAMILY.fov_mm) * inside
    glioma = np.array([scene.facts[row].kind.label == "glioma-like" for row in scene.rows], np.float32).reshape(-1, 1, 1)
    halo = glioma * scene.of(_SWELLING, "margin") * soft(1.55 - scene.rho, 0.8) * inside
    ring = scene.of(_RIM, "density") * bump(scene.rho - 0.84, 0.15)
    tone = scene.of(_SIGNAL, "density") + ring + 0.03 * np.cos(scene.rho * 9)
    for rows, chosen in scene.layers():
        now = image[rows]
        now = now + (0.33 - now) * halo[chosen]
        image[rows] = now + (tone[chosen] - now) * cover[chosen]
    return masks, image


def marks(image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
    """The side letter at the picture's edge."""
    return (write(image, "R", "top left", brightness=0.8),)
