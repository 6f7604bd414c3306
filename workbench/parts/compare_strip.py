"""The same input through several networks, side by side: the case on the left, one line of answer for each network on the right."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from workbench.parts import html

SIDE_PX = 224


def strip(
    *, picture: np.ndarray | None, values: np.ndarray | None, caption: str, truth: str, rows: Sequence[tuple[str, str, float, bool]]
) -> str:
    """Markup of the comparison.

    picture: (H, W) float in 0…1, or None. values: standardised numbers of a table row, drawn as bars, or None.
    rows: (network, its answer, probability it gives the true class in 0…1, right or not).
    """
    shown = (
        f'<img src="{_png(picture)}" alt="{html.text(caption)}" width="{SIDE_PX}" height="{SIDE_PX}">'
        if picture is not None
        else _bars(values)
    )
    lines = [[html.text(name), html.text(answer), _meter(share), _verdict(right)] for name, answer, share, right in rows]
    table = html.table(["Answered by", "Answer", f"Probability given to the true class ({truth})", ""], lines)
    return f'<div class="lb-strip"><figure>{shown}<figcaption>{html.text(caption)}</figcaption></figure>{table}</div>'


def _verdict(right: bool) -> str:
    return '<span class="lb-good">right</span>' if right else '<span class="lb-bad">wrong</span>'


def _meter(share: float) -> str:
    return f'<span class="lb-meter" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></span> {100 * share:.1f} %'


def _png(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    grey = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(grey).resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _bars(values: np.ndarray | None) -> str:
    """Standardised values as bars up and down from a middle line, cut at three standard deviations."""
    if values is None:
        return ""
    width, middle = SIDE_PX / len(values), SIDE_PX / 2
    gap = min(1.0, width / 4)  # on each side of a bar; a hundred values still get bars that can be seen
    bars = "".join(
        f'<rect x="{i * width + gap:.1f}" y="{middle - max(0.0, v) * middle:.1f}" width="{width - 2 * gap:.1f}" height="{abs(v) * middle:.1f}"/>'
        for i, v in enumerate(np.clip(values / 3, -1, 1))
    )
    return f'<svg viewBox="0 0 {SIDE_PX} {SIDE_PX}" width="{SIDE_PX}" height="{SIDE_PX}" role="img" aria-label="{len(values)} measurements, standardised">{bars}<path d="M0 {middle}H{SIDE_PX}"/></svg>'
