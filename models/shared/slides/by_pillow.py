"""Plain pictures, PNG and JPEG: decoded once and kept in memory."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.shared.slides.fingerprints import fingerprint
from models.shared.slides.source import PixelSource, SlideRefused

MAX_PIXELS = 100_000_000
"""Of a picture that has to be decoded as a whole; with its coarser levels it takes four bytes of memory a pixel."""
TOO_LARGE = (
    f"The picture has no pyramid and more than the {MAX_PIXELS // 1_000_000} million pixels that can be decoded as a whole; "
    "please save it as a pyramidal TIFF."
)


def check_size(width: int, height: int) -> None:
    """Raises SlideRefused for a picture that is empty or too large to be decoded as a whole."""
    if min(width, height) < 1:
        raise SlideRefused("The picture says that it has no pixels; please export it again.")
    if width * height > MAX_PIXELS:
        raise SlideRefused(TOO_LARGE)


def open_picture(path: Path) -> PixelSource:
    """A PNG or JPEG. Raises SlideRefused."""
    from models.shared.slides.opening import plausible_mpp

    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or MAX_PIXELS, MAX_PIXELS)  # Pillow warns from 89 million on
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            check_size(*image.size)
            pixels = _rgb(image)
            dpi = image.info.get("dpi", (0,))[0]
    except SlideRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise SlideRefused(TOO_LARGE) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error):
        raise SlideRefused("The picture is damaged or cut short; please export it again.") from None
    return PixelSource(pixels, plausible_mpp(25_400 / dpi if dpi else None), fingerprint=fingerprint([path]))


def _rgb(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3), transparency over white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    elif image.mode.startswith(("I", "F")):
        image = Image.fromarray((np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8))  # 16-bit grey
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
