"""Results to take away: pictures, tables and records as bytes, each with a stamp that says what made it, and as a file for a download button.

    data = overlay_png(picture.pixels, masks, stamp=stamp("medfocusclip", checkpoints={"clip": clip.sha256}, seed=0, device=context.device))
    return gr.DownloadButton(value=save("lesion.png", data))

H W: rows and columns of the picture.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.shared.version import VERSION

COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178))
"""Okabe and Ito's colour-blind-safe set, as 8-bit RGB, for the first, second … mask."""
NOTE = "Research use only. Not a medical device; no evidence about a patient."
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def stamp(
    method: str,
    *,
    checkpoints: Mapping[str, str] | None = None,
    seed: int | None = None,
    device: str = "",
    seconds: float | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What made a result: program and version, method, SHA-256 of each network by name, seed, device, seconds, and any further settings."""
    return {
        "program": "Lightbox",
        "version": VERSION,
        "method": method,
        "checkpoints": dict(checkpoints or {}),
        "seed": seed,
        "device": device,
        "seconds": None if seconds is None else round(seconds, 3),
        "settings": settings,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "note": NOTE,
    }


def overlay_png(
    picture: np.ndarray,
    masks: Sequence[np.ndarray],
    *,
    alpha: float = 0.4,
    colours: Sequence[tuple[int, int, int]] = COLOURS,
    stamp: Mapping[str, Any] | None = None,
) -> bytes:
    """The picture, uint8 (H, W) or (H, W, 3), with each mask (H, W) bool laid on in its colour and outlined. ValueError for other shapes."""
    canvas = (np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture).astype(np.float32)  # H W 3
    for index, mask in enumerate(masks):
        if mask.shape != canvas.shape[:2]:
            raise ValueError(
                f"The mask has the shape {mask.shape} and the picture {canvas.shape[:2]}; give a mask of the picture's own size."
            )
        inside, colour = mask.astype(bool), np.array(colours[index % len(colours)], np.float32)
        canvas[inside] += alpha * (colour - canvas[inside])
        canvas[_edge(inside)] = colour
    return _png(np.rint(canvas).astype(np.uint8), stamp)


def mask_png(mask: np.ndarray, *, stamp: Mapping[str, Any] | None = None) -> bytes:
    """A mask (H, W): bool as black and white, whole numbers from 0 to 65,535 as they are (0 is background). ValueError for anything else."""
    if mask.ndim != 2 or mask.dtype.kind not in "bui" or (mask.size and (mask.min() < 0 or mask.max() > 65535)):
        raise ValueError("A mask to write holds true and false, or whole numbers from 0 to 65,535, in rows and columns.")
    if mask.dtype == bool:
        return _png(mask.astype(np.uint8) * np.uint8(255), stamp)
    return _png(mask.astype(np.uint8 if not mask.size or mask.max() < 256 else np.uint16), stamp)


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as UTF-8 CSV. Text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in head])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue().encode()


def json_bytes(values: Mapping[str, Any], *, stamp: Mapping[str, Any]) -> bytes:
    """Values and their stamp (under "made_by") as JSON. Arrays become lists; what is no number becomes null."""
    return (json.dumps(_plain({**values, "made_by": stamp}), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def save(name: str, data: bytes) -> str:
    """Write a file where Gradio may serve it, in a folder whose name nobody can guess, and return its path for a `gr.DownloadButton`.

    It is deleted with the other drawn files once it is old.
    """
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder()) / secrets.token_hex(20)
    folder.mkdir(mode=0o700, parents=True)
    path = folder / (_NAME.sub("-", name).strip("-.") or "result")
    path.write_bytes(data)
    return str(path)


def _edge(inside: np.ndarray) -> np.ndarray:
    """Pixels of a mask (H, W) with a neighbour above, below, left or right outside it; the picture's border counts as outside."""
    padded = np.pad(inside, 1)
    kernel = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~kernel


def _png(pixels: np.ndarray, stamp: Mapping[str, Any] | None) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if stamp is not None:
        info.add_itxt("Lightbox", json.dumps(_plain(stamp), ensure_ascii=False, allow_nan=False))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # a space before the sign does not stop every spreadsheet
        return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
    plain = _plain(value)
    return "" if plain is None else plain


def _plain(value: Any) -> Any:
    """Arrays, numbers of NumPy and nested records as what JSON holds; what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
