"""Picture files to arrays of one size: grey, colour and masks. Everything untrusted about a picture file is checked here.

Known deviations: pictures are squashed to a square, as the sets themselves are; enlarging adds no detail.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.shared.data import DataDamaged

MAX_SIDE_PX = 8192
_FAULTS = (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
"""What Pillow raises on broken files, depending on where they are broken."""


def encode_png(pixels: np.ndarray) -> bytes:
    """A drawn picture as an 8-bit PNG; pixels float (H, W) or (H, W, 3) in 0…1."""
    stream = io.BytesIO()
    Image.fromarray(np.rint(np.asarray(pixels) * 255).astype(np.uint8)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def decode(
    name: str,
    data: bytes,
    *,
    mode: Literal["L", "RGB"] = "L",
    size: int | None = None,
    formats: tuple[str, ...] = ("JPEG", "PNG"),
    max_side: int = MAX_SIDE_PX,
) -> np.ndarray:
    """One picture file as uint8 (H, W), or (H, W, 3) for mode "RGB"; with `size`, H = W = size.

    Raises DataDamaged, naming the file, when it is no whole picture of these formats or has a side above `max_side` pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as picture:
            if max(picture.size) > max_side:
                raise DataDamaged(f"The picture {name} is {picture.size[0]}×{picture.size[1]}, too large for this set.")
            if size:
                # JPEG can be decoded at a half, a quarter or an eighth at once, several times faster.
                picture.draft(mode, (size, size))
            return np.asarray(_to_square(_in_mode(ImageOps.exif_transpose(picture), mode), size))
    except DataDamaged:
        raise
    except Image.DecompressionBombError as fault:
        raise DataDamaged(f"The picture {name} has far more pixels than {max_side}×{max_side}, too large for this set.") from fault
    except _FAULTS as fault:
        raise DataDamaged(f"The picture {name} cannot be read ({fault}). Fetch the set once more.") from fault


def decode_mask(name: str, data: bytes) -> np.ndarray:
    """One mask file as bool (H, W): True where its grey level is in the upper half."""
    return decode(name, data) > 127


def resize(pictures: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) at `size`×`size`: averaged when made smaller, bicubic when enlarged."""
    if pictures.shape[1:3] == (size, size):
        return pictures
    return np.stack([np.asarray(_to_square(Image.fromarray(picture), size)) for picture in pictures])


def resize_masks(masks: np.ndarray, size: int) -> np.ndarray:
    """bool (N, H, W) at `size`×`size`: a pixel is in when half of what it covers was."""
    if masks.shape[1:3] == (size, size):
        return masks
    return resize(masks.astype(np.uint8) * np.uint8(255), size) > 127


def as_array(name: str, values: np.ndarray, *, mode: Literal["L", "RGB"], size: int) -> np.ndarray:
    """Pixels that someone else decoded, as uint8 like those of `decode`.

    `values` is (H, W) or (H, W, 3), whole numbers 0…255 as uint8 or floats in 0…1. Raises DataDamaged for anything else.
    """
    values = np.asarray(values)
    shaped = values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)
    floats = values.dtype.kind == "f"
    if not shaped or values.size == 0 or not (floats or values.dtype == np.uint8) or (floats and not _in_unit_range(values)):
        raise DataDamaged(f"{name}: expected grey or colour pixels with values 0 to 1, found {values.shape} of {values.dtype}.")
    if floats:
        values = (values * 255).round().astype(np.uint8)
    return np.asarray(_to_square(Image.fromarray(values).convert(mode), size))


def _in_unit_range(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1)


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        # Pillow cuts 16-bit levels off at 255 instead of scaling them.
        levels = np.asarray(picture).astype(np.float64) / 257
        picture = Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))
    if picture.mode != "1" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert(mode)


def _to_square(picture: Image.Image, size: int | None) -> Image.Image:
    if size is None or picture.size == (size, size):
        return picture
    how = Image.Resampling.BOX if min(picture.size) >= size else Image.Resampling.BICUBIC
    return picture.resize((size, size), how, reducing_gap=2.0)
