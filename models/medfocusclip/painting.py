"""Segments painted on a scan, and the other ways to show a network where to look. NumPy; SciPy and Pillow where they are needed.

Arora & Namboodiri 2025 (arXiv 2501.03839), read from its figures: segments are laid on the scan from the largest to the smallest, each in one
colour of opacity 0.5, so that a pixel shows the colour of the smallest segment that covers it (spec §5.2; measured opacity 0.47 to 0.49).

J = (1 − α) I + α c_k on segment k, J = I elsewhere.

K segments, H rows, W columns. Pictures are float (H, W, 3) in 0…1. Known deviation: random colours follow from the picture's hash, where
the published pictures tell nothing of a seed, so that a picture is always painted the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.medfocusclip.options import Mode, OptionRefused, Painting, Palette

Picture = NDArray[np.floating]
Mask = NDArray[np.bool_]

NONE = -1
"""Label of pixels that no segment covers."""
CONTOUR_ALPHA = 0.4
_CONTOUR_COLOUR = (0.0, 0.0, 1.0)
_MARK_COLOUR = (1.0, 0.0, 0.0)
_FIXED = np.array(
    [
        (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26), (0.00, 0.45, 0.70), (0.84, 0.37, 0.00),
        (0.80, 0.47, 0.65), (0.60, 0.20, 0.80), (0.55, 0.75, 0.30), (0.95, 0.55, 0.55), (0.30, 0.30, 0.80), (0.65, 0.50, 0.30),
    ]
)  # fmt: skip
"""Colours that stay apart for colour-blind eyes as far as twelve can (the first seven are Okabe and Ito's)."""


def as_rgb(picture: np.ndarray) -> Picture:
    """(H, W) or (H, W, 3), bytes or fractions, to float32 (H, W, 3) in 0…1; floats keep their precision. OptionRefused otherwise."""
    array = np.asarray(picture)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise OptionRefused(f"A picture is height by width, or height by width by 3 colours; this one has the shape {array.shape}.")
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)
    elif array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise OptionRefused("A picture holds bytes (uint8) or fractions from 0 to 1; scale it first.")
    return array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)


def as_bytes(picture: Picture) -> NDArray[np.uint8]:
    """Fractions to bytes, rounded; bytes that became fractions come back as they were."""
    return np.round(picture * 255).astype(np.uint8)


def image_seed(picture: np.ndarray) -> int:
    """A seed from the picture's content: the same bytes give the same seed, whether grey, spread over three colours, or fractions."""
    return int.from_bytes(hashlib.sha256(as_bytes(as_rgb(picture)).tobytes()).digest()[:6], "big")


def painting_order(masks: Sequence[Mask]) -> list[int]:
    """Numbers of the masks from the largest to the smallest. Equal areas are told apart by content, so the order given never matters."""
    return sorted(range(len(masks)), key=lambda k: (-int(masks[k].sum()), np.packbits(masks[k]).tobytes()))


def label_map(masks: Sequence[Mask], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Rank in painting order (0 the largest) of the last, so the smallest, mask on each pixel: (H, W) int32, NONE where there is none."""
    labels = np.full(shape, NONE, np.int32)
    for rank, k in enumerate(painting_order(masks)):
        labels[masks[k]] = rank
    return labels


def colours(palette: Palette, masks: Sequence[Mask], picture: Picture, seed: int) -> NDArray[np.float64]:
    """(K, 3) in 0…1, in painting order."""
    if palette == "random":
        return np.random.default_rng(seed).random((len(masks), 3))
    if palette == "by_area":
        return _FIXED[np.arange(len(masks)) % len(_FIXED)]
    if palette == "by_intensity":
        grey = picture.mean(axis=2)
        means = np.array([grey[masks[k]].mean() if masks[k].any() else 0.0 for k in painting_order(masks)])
        return np.stack([means, 4 * means * (1 - means), 1 - means], axis=-1).reshape(-1, 3)  # blue over green to red
    raise OptionRefused(f"There is no palette {palette!r}.")


def paint(picture: np.ndarray, masks: Sequence[Mask], painting: Painting = Painting(), *, seed: int | None = None) -> Picture:  # noqa: B008
    """The painted picture J, (H, W, 3) in 0…1.

    `masks`: (H, W) each, in any order. `seed` stands in for the picture's hash where several versions of one picture must get the same
    colours (a mirrored one); `painting.seed`, when set, rules over both. With alpha 0 or no masks J equals the picture bit for bit.
    """
    image = as_rgb(picture)
    check_masks(masks, image.shape[:2])
    if not masks or painting.alpha == 0:
        return image.copy()
    drawn = painting.seed if painting.seed is not None else image_seed(picture) if seed is None else seed
    palette = colours(painting.palette, masks, image, drawn).astype(image.dtype)
    labels = label_map(masks, image.shape[:2])
    painted, alpha = image.copy(), image.dtype.type(painting.alpha)
    inside = labels != NONE
    painted[inside] = (1 - alpha) * image[inside] + alpha * palette[labels[inside]]
    return _with_contours(painted, labels) if painting.contour else painted


def _with_contours(painted: Picture, labels: NDArray[np.int32]) -> Picture:
    """A line of one pixel where the label changes, on the side of the higher label."""
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for shift in (1, -1):
            other = np.roll(labels, shift, axis)
            rim = [slice(None)] * 2
            rim[axis] = 0 if shift == 1 else -1
            other[tuple(rim)] = labels[tuple(rim)]  # nothing wraps around
            edge |= labels > other
    out = painted.copy()
    out[edge] = (1 - CONTOUR_ALPHA) * painted[edge] + CONTOUR_ALPHA * np.asarray(_CONTOUR_COLOUR, painted.dtype)
    return out


def binary(region: Mask, dtype: type = np.float32) -> Picture:
    """The region white on black, nothing of the scan: (H, W, 3)."""
    return np.repeat(region[:, :, None], 3, axis=2).astype(dtype)


def blur(picture: np.ndarray, region: Mask, *, sigma_px: float | None = None) -> Picture:
    """Sharp inside the region, blurred outside: J = m I + (1 − m) (G * I). Without `sigma_px` a twenty-fifth of the shorter side."""
    from scipy.ndimage import gaussian_filter

    image = as_rgb(picture)
    sigma = min(image.shape[:2]) / 25 if sigma_px is None else sigma_px
    soft = gaussian_filter(image, (sigma, sigma, 0)).clip(0, 1)
    return np.where(region[:, :, None], image, soft)


def grey_out(picture: np.ndarray, region: Mask, *, share: float = 0.8) -> Picture:
    """Surroundings mixed with middle grey, by default four fifths of it."""
    image = as_rgb(picture)
    faded = (1 - share) * image + share * 0.5
    return np.where(region[:, :, None], image, faded).astype(image.dtype)


def outline(picture: np.ndarray, region: Mask) -> Picture:
    """A red line around the region, a hundredth of the shorter side wide and at least one pixel."""
    from scipy.ndimage import binary_dilation

    image = as_rgb(picture)
    line = binary_dilation(region, iterations=_line_px(image)) & ~region
    out = image.copy()
    out[line] = _MARK_COLOUR
    return out


def ellipse(picture: np.ndarray, region: Mask) -> Picture:
    """A red ellipse around the region's box; the picture as it is when the region is empty."""
    from PIL import Image, ImageDraw

    image = as_rgb(picture)
    if not region.any():
        return image.copy()
    top, left, bottom, right = _box(region)
    y_room, x_room = 0.21 * (bottom - top) + 2, 0.21 * (right - left) + 2  # a box's corners lie 0.207 sides outside its inscribed ellipse
    drawn = Image.new("L", (image.shape[1], image.shape[0]))
    ImageDraw.Draw(drawn).ellipse((left - x_room, top - y_room, right + x_room, bottom + y_room), outline=255, width=_line_px(image))
    out = image.copy()
    out[np.asarray(drawn) > 0] = _MARK_COLOUR
    return out


def crop(picture: np.ndarray, region: Mask, *, margin: float = 0.15) -> Picture:
    """The square around the region with some margin, as far as it lies in the picture; the whole picture when the region is empty."""
    image = as_rgb(picture)
    if not region.any():
        return image.copy()
    top, left, bottom, right = _box(region)
    half = max(bottom - top, right - left) * (0.5 + margin)
    y, x = (top + bottom) / 2, (left + right) / 2
    rows = slice(max(0, int(y - half)), min(image.shape[0], int(np.ceil(y + half)) + 1))
    columns = slice(max(0, int(x - half)), min(image.shape[1], int(np.ceil(x + half)) + 1))
    return image[rows, columns].copy()


def shown(mode: Mode, picture: np.ndarray, masks: Sequence[Mask], region: Mask, painting: Painting, seed: int) -> Picture:
    """The picture as one mode shows it to CLIP: (H, W, 3) in 0…1, smaller for a crop. `masks` are painted, the drawn prompts point at `region`."""
    if mode == "painted":
        return paint(picture, masks, painting, seed=seed)
    if mode == "binary":
        return binary(region)
    drawn = {"blur": blur, "outline": outline, "ellipse": ellipse, "crop": crop, "grey_out": grey_out}
    if mode in drawn:
        return drawn[mode](picture, region)
    return as_rgb(picture)  # plain, and attention, which changes nothing on the picture


def check_masks(masks: Sequence[Mask], shape: tuple[int, ...]) -> None:
    """OptionRefused when a mask is not of the picture's size or does not hold yes and no alone."""
    for mask in masks:
        if mask.shape != tuple(shape) or mask.dtype != bool:
            raise OptionRefused(
                f"A mask must be yes or no for each of the picture's {shape[0]} by {shape[1]} pixels; this one is {mask.shape} of {mask.dtype}."
            )


def _box(region: Mask) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return int(ys[0]), int(xs[0]), int(ys[-1]), int(xs[-1])


def _line_px(image: Picture) -> int:
    return max(1, round(min(image.shape[:2]) / 100))
