"""Breast-ultrasound-like phantom: layers under a probe, drowned in speckle, brightness by depth, shadows behind what stops sound.

Classes and the signs that define them (inferred, for demonstration; no clinical truth):
- normal: skin, fat, gland, muscle; nothing else.
- benign-like: smooth or lobulated, wider than tall; anechoic ones brighten what lies behind them;
  isoechoic means as bright as fat.
- malignant-like: spiculated or ill-defined, taller than wide, hypoechoic or mixed, with a shadow behind.
One picture shows one field of view: right and left are its halves (the patient's right is image left), zones are thirds of depth.
The picture is made along the beam: every pixel has a depth and a beam number, also under a curved probe.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from models.shared.data.phantoms.canvas import Array, Dice, blur, bump, grid, lay, soft, upsample
from models.shared.data.phantoms.facts import Family, Kind
from models.shared.data.phantoms.marks import calipers, ruler, write
from models.shared.data.phantoms.records import Lesion, Marker, Mask
from models.shared.data.phantoms.scene import Geometry, Rendered, Scene, Spots

ZONES = ("shallow", "middle", "deep")
_PLACES = tuple((side, zone) for zone in ZONES for side in ("right", "left"))
FAMILY = Family(
    name="breast_ultrasound",
    title="breast-ultrasound-like phantom",
    modality="breast ultrasound",
    fov_mm=48.0,
    area="zone",
    zones=ZONES,
    kinds=(
        Kind("normal", noun="lesion"),
        Kind(
            "benign-like",
            noun="lesion",
            places=_PLACES,
            margins=("smooth", "lobulated"),
            densities=("anechoic", "hypoechoic", "isoechoic"),
            counts=(1, 1, 1, 2, 3),
            aspect=(1.3, 1.7),
        ),
        Kind(
            "malignant-like",
            noun="lesion",
            places=_PLACES,
            margins=("spiculated", "ill-defined"),
            densities=("hypoechoic", "mixed"),
            counts=(1, 1, 1, 1, 2),
            aspect=(0.72, 0.9),
        ),
    ),
    sizes_mm=MappingProxyType({"small": (4.0, 5.2), "medium": (7.0, 8.6), "large": (10.6, 12.5)}),
    cue="gain",
    signs=(
        ("anechoic", "with a brighter band behind it"),
        ("spiculated", "with a shadow behind it"),
        ("ill-defined", "with a shadow behind it"),
    ),
)
_ECHO = {"anechoic": 0.004, "hypoechoic": 0.014, "isoechoic": 0.055, "mixed": 0.03}
_MOTTLE = {"anechoic": 0.0, "hypoechoic": 0.25, "isoechoic": 0.3, "mixed": 0.75}
_EDGE_MM = {"smooth": 0.5, "lobulated": 0.5, "spiculated": 0.7, "ill-defined": 1.8}
_RIM = {"smooth": 0.25, "lobulated": 0.2, "spiculated": 0.12, "ill-defined": 0.1}
_BEHIND = {"anechoic": 1.5, "hypoechoic": 0.0, "isoechoic": 0.0, "mixed": 0.0}
_SHADE = {"smooth": 0.0, "lobulated": 0.0, "spiculated": -2.3, "ill-defined": -1.7}
"""Log brightness added behind a lesion of this density or margin."""
_DYNAMIC_RANGE = 6.4  # natural-log units of echo power shown between black and white: about 55 dB less what speckle takes
_SPECKLE = 1.15  # 2 would be full speckle; scanners average several looks
_BOTTOM = 0.905  # how deep the field of view reaches
_TOP = 0.035  # the probe's face, in 0…1 of the picture


def layout(dice: Dice) -> Geometry:
    """The numbers that place the layers, from the picture's own dice."""
    curved = dice.uniform(0, 1)
    return {
        "apex": np.where(curved < 0.4, dice.uniform(0.75, 1.1), np.float32(40.0)).astype(np.float32),
        "curved": (curved < 0.4).astype(np.float32),
        "skin": dice.uniform(0.025, 0.04),
        "fat": dice.uniform(0.13, 0.19),
        "muscle": dice.uniform(0.72, 0.77),
        "wall": dice.uniform(0.84, 0.88),
        "tilt": dice.uniform(-0.05, 0.05),
        "fade": dice.uniform(0.8, 1.9),
        "gain": dice.uniform(-0.35, 0.35),
        "fibres": dice.uniform(0.6, 1.3),
    }


def box(side: str, zone: str) -> tuple[float, float, float, float]:
    """Top, left, bottom, right in which the centre of a lesion is looked for."""
    top = {"shallow": 0.13, "middle": 0.29, "deep": 0.48}[zone]
    left = 0.14 if side == "right" else 0.53
    return top, left, top + 0.24, left + 0.33


def _depth(g: Geometry, y: Array, x: Array) -> tuple[Array, Array]:
    """Depth below the probe's face and beam position (0…1 across the picture's middle), both in 0…1 of the picture."""
    below = y - _TOP + g["apex"]
    across = x - 0.5
    depth = np.sqrt(below * below + across * across) - g["apex"]
    # A curved probe bulges towards the patient: its own sagging edge must not cut the layers off.
    return depth, 0.5 + across / below * (g["apex"] + 0.35)


def home(g: Geometry, side: Array | float, y: Array, x: Array) -> Array:
    """Positive in the breast tissue between skin and muscle, within the field of view."""
    depth, beam = _depth(g, y, x)
    return np.minimum(np.minimum(depth - 0.065, 0.71 - depth), np.minimum(beam - 0.1, 0.9 - beam))


def allowed(g: Geometry, spots: Spots, y: Array, x: Array) -> Mask:
    """Whether a lesion of a zone may have its centre there: thirds of the tissue's depth, clear of the midline."""
    depth, _ = _depth(g, y, x)
    above = 0.065 + 0.215 * spots.zone
    return (depth > above + 0.008) & (depth < above + 0.207) & (np.abs(x - 0.5) > 0.03)


def render(scene: Scene, dice: Dice) -> Rendered:
    """Echo power of the layers and lesions, then speckle, attenuation and log compression."""
    g, size = scene.geometry, scene.size
    y, x = grid(size)
    depth, beam = _depth(g, y, x)
    tissue = home(g, 0.0, y, x)
    power = np.log(_layers(g, dice, depth, beam, size))
    masks, power = _draw_lesions(scene, dice, tissue, depth, beam, power)
    power += _beam_faults(g, dice, depth, beam, size) - g["fade"] * depth + g["gain"]
    power += _SPECKLE * np.log(_speckle(dice, size))
    image = np.clip(1.06 + power / _DYNAMIC_RANGE, 0, 1)
    image = image * image * (1.5 - 0.5 * image)
    seen = soft(depth, 0.006) * np.where(
        g["curved"] > 0,
        soft(np.minimum(beam - 0.02, 0.98 - beam), 0.004) * soft(_BOTTOM - depth, 0.004),
        soft(np.minimum(beam - 0.07, 0.93 - beam), 0.002) * soft(_BOTTOM - depth, 0.002),
    )
    return Rendered(image * seen, {"breast tissue": tissue > 0}, masks)


def _layers(g: Geometry, dice: Dice, depth: Array, beam: Array, size: int) -> Array:
    """Echo power of skin, fat with its septa, gland, muscle and chest wall, (B, H, W)."""
    wave = upsample(dice.normal(3, 6), size) * 0.012 + g["tilt"] * (beam - 0.5)
    clumps = upsample(dice.normal(9, 6), size)
    fine = upsample(dice.normal(26, 14), size)
    fibre = upsample(dice.normal(44, 9), size)
    d = depth + wave
    lobes = upsample(dice.normal(5, 5), size)
    fat_floor = g["fat"] + 0.045 * upsample(dice.normal(2, 4), size)
    septa = bump(lobes + 0.3 * fine, 0.16)
    fat = 0.055 + 0.02 * (fine > 0.6) + 0.22 * septa
    gland = 0.20 * np.exp(0.55 * clumps + 0.4 * g["fibres"] * fibre) + 0.04
    fat_islands = soft(lobes - 0.9, 0.4)
    gland = gland * (1 - 0.55 * fat_islands)
    muscle = 0.05 + 0.22 * bump(fibre + 0.4 * fine, 0.5)
    wall = 0.55 * bump(d - g["wall"], 0.012) + 0.015
    skin = 0.75 * bump(depth - 0.006, 0.006) + 0.65 * bump(depth - g["skin"], 0.005) + 0.24
    out = fat
    lay(out, gland, soft(d - fat_floor, 0.02))
    lay(out, muscle, soft(d - g["muscle"], 0.012))
    out += 0.5 * bump(d - g["muscle"], 0.007)
    lay(out, wall, soft(d - g["wall"] + 0.02, 0.02))
    lay(out, skin, soft(g["skin"] + 0.006 - depth, 0.008))
    return out


def _beam_faults(g: Geometry, dice: Dice, depth: Array, beam: Array, size: int) -> Array:
    """Log brightness lost along single beams (ligaments, poor contact) and at the edges of the field."""
    phase, height = dice.even(6), dice.even(6)
    fault = np.zeros_like(depth * beam)
    for k in range(6):
        p, h = phase[:, k, None, None], height[:, k, None, None]
        fault -= 0.55 * h * bump(beam - p, 0.012 + 0.02 * h) * soft(depth - 0.1, 0.15)
    return fault - 1.2 * np.clip(np.abs(beam - 0.5) - 0.34, 0, None) * 4


def _speckle(dice: Dice, size: int) -> Array:
    """Rayleigh amplitude of about unit power, its grains wider than deep, (B, H, W)."""
    sigma_y, sigma_x = max(0.0042 * size, 0.45), max(0.0075 * size, 0.6)
    parts = [blur(dice.normal(size, size), sigma_y, sigma_x) for _ in range(2)]
    # Blurring white noise divides its power by about 4π times the two widths.
    power = (parts[0] ** 2 + parts[1] ** 2) * np.float32(4 * np.pi * sigma_y * sigma_x / 2)
    return np.sqrt(power + np.float32(0.07))


def _draw_lesions(scene: Scene, dice: Dice, tissue: Array, depth: Array, beam: Array, power: Array) -> tuple[Mask, Array]:
    """Puts the lesions into the log echo power. Returns their masks (L, H, W) and the power."""
    mottle = upsample(dice.normal(18, 18), scene.size)
    masks = (scene.rho < 1) & (scene.picked(tissue) > 0)
    cover = scene.fill(scene.of(_EDGE_MM, "margin") / FAMILY.fov_mm)
    inside = np.log(scene.of(_ECHO, "density")) + scene.of(_MOTTLE, "density") * scene.picked(mottle)
    rim = scene.of(_RIM, "margin") * bump(scene.rho - 1.08, 0.12) * 3
    change = scene.of(_BEHIND, "density") + scene.of(_SHADE, "margin")
    for rows, chosen in scene.layers():
        behind = _behind(scene, chosen, depth[rows], beam[rows]) * change[chosen]
        now = power[rows] + behind + rim[chosen]
        power[rows] = now + cover[chosen] * (inside[chosen] - now + 0.35 * behind)
    return masks, power


def _behind(scene: Scene, chosen: np.ndarray, depth: Array, beam: Array) -> Array:
    """0…1 in the beams that passed through a lesion, below it."""
    g = {name: value[scene.rows[chosen]] for name, value in scene.geometry.items()}
    centre, radius = scene.centre[chosen], scene.radius[chosen][:, None, None]
    d0, b0 = _depth(g, centre[:, 0, None, None], centre[:, 1, None, None])
    stretch = np.sqrt(scene.aspect[chosen])[:, None, None]
    off = (beam - b0) / (radius * stretch)
    down = depth - d0
    return soft(0.85 - np.abs(off), 0.5) * soft(down - 0.3 * radius, radius * 0.9) * np.exp(-np.clip(down - radius, 0, None) * 1.8)


def marks(image: Array, seed: int, lesions: tuple[Lesion, ...]) -> tuple[Marker, ...]:
    """Depth ticks, the probe's name and, on one picture in four whatever its class, calipers."""
    spacing = FAMILY.fov_mm / image.shape[0]
    found = [ruler(image, image.shape[0] - 1, spacing, 5.0)]
    if image.shape[0] >= 96:
        found.append(write(image, ("L12", "L18", "M9")[seed % 3], "bottom left", brightness=0.7))
    if seed % 4 == 0:
        found.append(calipers(image, *_measured(image.shape[0], seed, lesions)))
    return tuple(found)


def _measured(size: int, seed: int, lesions: tuple[Lesion, ...]) -> tuple[int, int, int]:
    """Row, left and right column of what is measured: the first lesion or, so that calipers give no class away, plain tissue."""
    if lesions:
        rows, columns = np.nonzero(lesions[0].mask)
        return int(np.median(rows)), int(columns.min()), int(columns.max())
    low, high = FAMILY.sizes_mm["small"][0] * 0.8, FAMILY.sizes_mm["large"][1] * 1.2
    y, x, part = np.random.default_rng(seed).random(3)
    width = (low + (high - low) * part) / FAMILY.fov_mm
    middle = (0.3 if x < 0.5 else 0.7) + 0.1 * (x * 2 % 1 - 0.5)
    return int((0.15 + 0.5 * y) * size), int((middle - width / 2) * size), int((middle + width / 2) * size)
