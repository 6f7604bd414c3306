"""PNG, JPEG, BMP and WebP through Pillow; 16-bit colour PNG through imagecodecs, because Pillow would cut it to 8 bits.

The size is checked from the header (Pillow decodes nothing before it is asked for pixels). EXIF orientation is applied; the rest of
EXIF is not looked at. Print resolution (dots per inch) says nothing about the patient, so spacing stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.imaging.codestream import check_scans
from workbench.imaging.files import Content
from workbench.imaging.limits import InputRefused, Limits, check_frame, check_ratio
from workbench.imaging.sniff import NAMES
from workbench.imaging.study import Decoded, as_pixels
from workbench.imaging.windows import FULL_8_BIT, automatic

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L", "F")
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "I;16": 2, "I;16B": 2, "I;16L": 2}  # all others 4, as Pillow holds them
ONLY_FIRST = "The file holds several pictures; only the first is shown."
FLATTENED = "Transparent parts of the picture are shown on black."


@dataclass(frozen=True)
class RasterReader:
    """Reads the one picture of a PNG, JPEG, BMP or WebP file."""

    content: Content
    kind: str
    limits: Limits
    frames: int = 1
    default_frame: int = 0
    photometric: str = "RGB"
    modality: str = "unknown"
    warnings: tuple[str, ...] = ()

    def decode(self, frame: int) -> Decoded:
        """The picture as Decoded. Raises InputRefused past the limits; Pillow's own errors pass to the border."""
        from PIL import Image, ImageOps

        with self.content.open() as handle:
            if self.kind == "jpeg":
                check_scans(handle.read(), limits=self.limits)
                handle.seek(0)
            depth16 = self.kind == "png" and _is_16_bit_colour(handle)
            try:
                image = Image.open(handle, formats=[NAMES[self.kind].upper()])
            except (Image.DecompressionBombError, Image.DecompressionBombWarning):
                raise InputRefused(
                    f"The picture has more than the {self.limits.max_pixels / 1e6:,.0f} million pixels that can be opened at once; "
                    "please make it smaller, or use the slide viewer if it is a whole-slide scan."
                ) from None
            with image:
                grey = image.mode in _GREY_MODES
                check_frame(image.height, image.width, 1 if grey else 3, limits=self.limits)
                native = image.height * image.width * (8 if depth16 else _BYTES_PER_PIXEL.get(image.mode, 4))
                check_ratio(native, self.content.size, limits=self.limits)
                notes = (ONLY_FIRST,) if getattr(image, "n_frames", 1) > 1 else ()
                if depth16:
                    handle.seek(0)
                    return _deep_colour(handle.read(), notes)
                ImageOps.exif_transpose(image, in_place=True)
                array, more = _array(image)
        return _shown(array, notes + more)


def _is_16_bit_colour(handle) -> bool:
    head = handle.read(26)
    handle.seek(0)
    return head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x04", b"\x06")  # IHDR bit depth and colour type


def _array(image: Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Grey (H, W) with its values kept, or uint8 colour (H, W, 3)."""
    if image.mode == "1":
        return np.asarray(image.convert("L")), ()
    if image.mode in _GREY_MODES:
        return np.asarray(image), ()
    if "A" in image.mode or "transparency" in image.info:
        grey = image.mode == "LA"
        layered = np.asarray(image.convert("RGBA"))
        flat, notes = _flatten(layered[..., :3], layered[..., 3:], 255)
        return (flat[..., 0] if grey else flat), notes
    return np.asarray(image.convert("RGB")), ()


def _flatten(colour: np.ndarray, alpha: np.ndarray, top: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Colour (H, W, C) laid on black by its alpha (H, W, 1); untouched and silent when it is opaque throughout."""
    if alpha.min() == top:
        return colour, ()
    return np.rint(colour * (alpha / np.float32(top))).astype(colour.dtype), (FLATTENED,)


def _deep_colour(data: bytes, notes: tuple[str, ...]) -> Decoded:
    from imagecodecs import png_decode

    array = png_decode(data)  # H W C, uint16, C = 2 (grey + alpha), 3 or 4
    if array.shape[-1] in (2, 4):
        array, more = _flatten(array[..., :-1], array[..., -1:], 65535)
        notes += more
    if array.shape[-1] == 1:
        array = array[..., 0]
    return _shown(array, notes)


def _shown(array: np.ndarray, notes: tuple[str, ...]) -> Decoded:
    pixels, more = as_pixels(array)
    if array.ndim == 3:
        return Decoded(pixels, full_scale=65535.0 if array.dtype == np.uint16 else 255.0, warnings=notes + more)
    windows = (FULL_8_BIT,) if array.dtype == np.uint8 else automatic(pixels)
    return Decoded(pixels, windows=windows, warnings=notes + more)
