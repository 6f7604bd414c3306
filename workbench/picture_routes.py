"""The HTTP route by which the page gets a picture: answered to its owner alone and kept in no cache; examples, which belong to nobody, to all."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from workbench.imaging import InputRefused
from workbench.pictures import PictureGone, Shown

if TYPE_CHECKING:
    import numpy as np

    from workbench.context import Context

JPEG_FROM_PIXELS = 1_000_000  # colour pictures above this are sent as JPEG: a PNG of a photograph takes ten times as long to pack
_QUALITY = 92


def router(context: Context, signed_in: Callable[[Request], str | None]) -> APIRouter:
    """Routes over `context.pictures`. `signed_in` gives the login name, '' where no login is asked for, None for a stranger."""
    routes = APIRouter(prefix="/lightbox/pictures")

    @routes.get("/{id:path}")  # the id of an example names a folder
    def picture(
        id: str, request: Request, frame: int = 0, centre: float | None = None, width: float | None = None, side: int | None = None
    ) -> Response:
        name = signed_in(request)
        if name is None:
            raise HTTPException(401, "Please log in first.")
        request.state.username = name
        window = None if centre is None or width is None else (centre, width)
        if window and not all(math.isfinite(number) for number in window):
            raise HTTPException(400, "A window needs a finite centre and a width above 0; please choose other numbers.")
        try:
            found = context.pictures.fetch(request, Shown(id, frame, window))
        except PictureGone as gone:
            raise HTTPException(404, str(gone)) from None
        except InputRefused as refused:
            raise HTTPException(400, str(refused)) from None
        content, kind = encode(found.pixels, side_px=side)
        cached = "public, max-age=3600" if context.pictures.is_example(id) else "private, no-store"
        return Response(content, media_type=kind, headers={"cache-control": cached})

    return routes


def encode(pixels: np.ndarray, *, side_px: int | None = None) -> tuple[bytes, str]:
    """uint8 (H, W) or (H, W, 3) as (bytes, media type): PNG, or JPEG for large colour pictures; at most `side_px` on its longer side."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if side_px and 0 < side_px < max(image.size):
        image.thumbnail((side_px, side_px), Image.Resampling.BOX)
    stream = io.BytesIO()
    if image.mode == "RGB" and image.width * image.height > JPEG_FROM_PIXELS:
        image.save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue(), "image/jpeg"
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue(), "image/png"
