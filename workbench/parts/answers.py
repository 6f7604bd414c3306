"""Small pieces of markup in which answers are told: sentences, marked words, small pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from workbench import exports
from workbench.parts import html
from workbench.working_scan import resized_mask, shrunk

THUMB_PX = 200


def hints(sentences: Sequence[str]) -> str:
    """Sentences of safe markup, a paragraph each."""
    return "".join(f"<p class='lb-hint'>{sentence}</p>" for sentence in sentences)


def marked(words: Sequence[str]) -> str:
    """Words of people, made to stand out."""
    return ", ".join(f"<mark>{html.text(word)}</mark>" for word in words)


def thumb(pixels: np.ndarray, masks: Sequence[np.ndarray], words: str, *, width: int = 150) -> str:
    """A picture (H, W) or (H, W, 3), uint8 or floats in 0…1, made small, with outlines bool (H, W) laid over it; words say what it shows."""
    grey = pixels if pixels.dtype == np.uint8 else np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    small = shrunk(grey, THUMB_PX)
    data = exports.overlay_png(small, [resized_mask(mask, small.shape[:2]) for mask in masks])
    return f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}" alt="{html.text(words)}" width="{width}">'


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks; 1 for two empty ones."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0
