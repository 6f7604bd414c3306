"""Pictures made of class numbers: overlays in the structures' colours, and the prototype board. NumPy and markup alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np

from workbench.parts import html
from workbench.tabs.semsim.names import RGB, plain

SIDE_PX = 224


def colour(number: int) -> tuple[int, int, int]:
    """Of structure `number`, from 1."""
    return RGB[(number - 1) % len(RGB)]


def overlay(seen: np.ndarray, labels: np.ndarray, kept: np.ndarray | None = None) -> str:
    """Data URL of a picture (S, S) or (S, S, 3) in 0…1 under class numbers (s, s); what is not kept (s, s) is dimmed and hatched."""
    side = SIDE_PX
    grey = _nearest(seen if seen.ndim == 3 else np.repeat(seen[..., None], 3, axis=2), side) * 255
    names = _nearest(labels, side)
    for number in range(1, int(names.max(initial=0)) + 1):
        inside = names == number
        grey[inside] += 0.5 * (np.array(colour(number), np.float32) - grey[inside])
    if kept is not None:
        out = ~_nearest(kept, side)
        rows, columns = np.indices((side, side))
        grey[out] = 0.35 * grey[out] + 14
        grey[out & ((rows + columns) % 12 < 2)] = 150
    return png_url(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))


def _nearest(values: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (np.arange(side) * own // side for own in values.shape[:2])
    return np.array(values[rows[:, None], columns], copy=True)


def png_url(pixels: np.ndarray) -> str:
    """uint8 (H, W, 3) as a data URL."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def figure(url: str, words: str, caption: str) -> str:
    """One picture with a caption of safe markup. words: for people who do not see it."""
    return f'<figure><img src="{url}" alt="{html.text(words)}" width="{SIDE_PX}" height="{SIDE_PX}"><figcaption>{caption}</figcaption></figure>'


def legend(structures: Sequence[str]) -> str:
    """The structures' colours, in words."""
    dots = "".join(
        f'<span><i class="lb-dot" style="background:rgb{colour(number)}"></i> {html.text(plain(name))}</span> '
        for number, name in enumerate(structures, 1)
    )
    return f'<p class="lb-hint lb-keys">{dots}</p>'


def board(
    pictures: np.ndarray, masks: np.ndarray, local: np.ndarray, present: np.ndarray, structures: Sequence[str], cell: tuple[int, int] | None
) -> str:
    """The labelled slices under their grid: a dot for each class, full where the cell has a prototype of its own, hollow where the whole slice's stands in.

    pictures (L, S, S[, 3]) and masks (L, S, S) uint8; local (L, N, N, C), present (L, C) bool; cell: the one that is asked.
    """
    return "".join(
        _slice(number, picture, mask, its, there, structures, cell)
        for number, (picture, mask, its, there) in enumerate(zip(pictures, masks, local, present, strict=True), 1)
    )


def _slice(
    number: int,
    picture: np.ndarray,
    mask: np.ndarray,
    local: np.ndarray,
    present: np.ndarray,
    structures: Sequence[str],
    cell: tuple[int, int] | None,
) -> str:
    n, url = len(local), overlay(picture.astype(np.float32) / 255, mask)
    step, parts = SIDE_PX / n, []
    for row in range(n):
        for column in range(n):
            parts += _dots(local[row, column], present, (column * step, row * step), step)
    lines = "".join(
        f'<path d="M{k * step:.1f} 0V{SIDE_PX}M0 {k * step:.1f}H{SIDE_PX}" stroke="#fff" stroke-opacity=".65" fill="none"/>'
        for k in range(1, n)
    )
    if cell is not None:
        x, y = cell[1] * step, cell[0] * step
        lines += f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{step - 2:.1f}" height="{step - 2:.1f}" fill="none" stroke="#ffd400" stroke-width="3"/>'
    told = ", ".join(
        f"{plain(name)} in {int(local[..., k].sum())} of {n * n} cells" if present[k] else f"{plain(name)} not in this slice"
        for k, name in enumerate(("background", *structures))
    )
    drawing = (
        f'<svg viewBox="0 0 {SIDE_PX} {SIDE_PX}" width="{SIDE_PX}" height="{SIDE_PX}" role="img" aria-label="Labelled slice {number}: {html.text(told)}">'
        f'<image href="{url}" width="{SIDE_PX}" height="{SIDE_PX}"/>{lines}{"".join(parts)}</svg>'
    )
    return f"<figure>{drawing}<figcaption><b>Labelled slice {number}.</b> {html.text(told)}.</figcaption></figure>"


def _dots(local: np.ndarray, present: np.ndarray, at: tuple[float, float], step: float) -> list[str]:
    """The classes of one cell, in a square of two a side from its top left corner."""
    size, made = min(7.0, step / 6), []
    for k in np.flatnonzero(present):
        x, y = at[0] + size * (1.3 + 2.4 * (k % 2)), at[1] + size * (1.3 + 2.4 * (k // 2))
        rgb = "rgb(210, 210, 210)" if k == 0 else f"rgb{colour(int(k))}"
        fill = rgb if local[k] else "rgba(0,0,0,.55)"
        made.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 0.9:.1f}" fill="{fill}" stroke="{rgb}" stroke-width="1.5"/>')
    return made
