"""A height map as a small picture: banded shades, so that the bands' edges read as contour lines."""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import numpy as np
from PIL import Image

LOW, HIGH = np.array([16, 58, 92]), np.array([240, 246, 250])  # low ground dark, high ground light
BANDS = 18


def as_data_url(decades: np.ndarray) -> str:
    """PNG data URL of a map (H, W), rows from low y to high y; values are log-heights of any range. Small enough to travel inside a message."""
    return _encode(decades.shape, np.ascontiguousarray(decades, dtype=np.float32).tobytes())


@lru_cache(maxsize=16)
def _encode(shape: tuple[int, int], raw: bytes) -> str:
    heights = np.frombuffer(raw, dtype=np.float32).reshape(shape)[::-1]  # row 0 of a picture is its top
    share = (heights - heights.min()) / max(float(np.ptp(heights)), 1e-9)
    band = np.floor(share * BANDS) / BANDS
    pixels = (LOW + band[..., None] * (HIGH - LOW)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((shape[1] * 4, shape[0] * 4), Image.Resampling.BICUBIC).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
