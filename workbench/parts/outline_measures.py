"""What is outlined on a scan, in numbers: each region's area and diameters, and how well all of it fits a reference, which visitors can bring.

    brought = reference_input("room")
    table(scan, marks.chosen, *reference_of(scan, kept, truth))

Measures follow from what the canvas holds at that moment, so a correction by hand counts at once. A reference is kept by the page as
{"picture", "size", "runs"}, for one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from models.shared.lesion_measures import Lesion, measure
from workbench.imaging import load
from workbench.parts import html
from workbench.parts.segments import Segment, decode, encode
from workbench.working_scan import Scan, resized_mask

HEAD = ("Outlined", "Area", "Longest diameter", "Across it", "Diameter of the same circle")
OWN = "the mask you brought"
MAX_ROWS = 12
MAX_LEVELS = 32
"""A mask may come with its structures in several grey levels, a scan has many more."""
Truth = Callable[[Scan], tuple[np.ndarray | None, str]]
"""What is known of a picture: (true outline bool (H, W) or None, where it is from)."""


@dataclass(frozen=True)
class ReferenceInput:
    """The buttons, and what was brought."""

    upload: gr.UploadButton
    forget: gr.Button
    state: gr.State


def reference_input(room: str) -> ReferenceInput:
    """One row; ids begin with `room`."""
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Bring a reference mask", elem_id=f"{room}_reference", min_width=200, scale=0)
        forget = gr.Button("Forget it", visible=False, elem_id=f"{room}_reference_forget", min_width=120, scale=0)
    return ReferenceInput(upload, forget, gr.State(None))


def read_reference(path: str, made: Scan) -> dict[str, Any]:
    """A mask file as what the page keeps of it. InputRefused, or ValueError with a sentence for another shape or for what is no mask."""
    pixels = load(path).display()
    grey = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    height, width = made.picture.full_size
    if abs(grey.shape[0] / grey.shape[1] - height / width) > 0.02 * height / width:
        raise ValueError(
            f"The mask has {grey.shape[1]}×{grey.shape[0]} pixels and the picture {width}×{height}; bring a mask of the same shape."
        )
    if len(np.unique(grey)) > MAX_LEVELS:
        raise ValueError("This picture has many grey levels and is no mask; bring one that is black outside and of one colour inside.")
    mask = resized_mask(grey > 0, made.size)
    return {"picture": made.id, "size": list(mask.shape), "runs": encode(mask)}


def reference_of(made: Scan, kept: Mapping[str, Any] | None, truth: Truth) -> tuple[np.ndarray | None, str]:
    """(mask or None, where it is from): what was brought for this picture, else what is known of it."""
    if kept and kept.get("picture") == made.id:
        return decode(kept["runs"], *kept["size"]), OWN
    return truth(made)


def measures(made: Scan, segments: Sequence[Segment]) -> list[tuple[str, Lesion]]:
    """(name, region) of every connected region of what is outlined, the largest first."""
    found = [
        (one.name, region) for number, one in enumerate(segments, 1) for region in measure(one.mask, made.spacing_mm, structure=number)
    ]
    return sorted(found, key=lambda pair: -pair[1].pixels)


def amount(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(made: Scan, segments: Sequence[Segment], reference: np.ndarray | None, where: str, names: Mapping[str, str] | None = None) -> str:
    """Markup. names: plain words for structures."""
    found, names = measures(made, segments), names or {}
    rows = [
        [
            names.get(name, name),
            f"{amount(one.area)} {one.unit}²",
            *(f"{amount(v)} {one.unit}" for v in (one.longest, one.across, one.equivalent)),
        ]
        for name, one in found[:MAX_ROWS]
    ]
    lines = [html.table(HEAD, [[html.text(cell) for cell in row] for row in rows])] if rows else [_hint("Nothing is outlined.")]
    if len(found) > MAX_ROWS:
        lines.append(_hint(f"{len(found) - MAX_ROWS} smaller regions are in the file of measures."))
    if made.spacing_mm is None and found:
        lines.append(_hint("The file does not say how large a pixel is, so lengths are in pixels (px)."))
    if reference is not None:
        lines.append(_hint(f"{fit(made, segments, reference)} <small>Reference: {html.text(where)}</small>"))
    return "".join(lines)


def fit(made: Scan, segments: Sequence[Segment], reference: np.ndarray) -> str:
    """Dice and surface distances against a reference, in words."""
    import torch

    from models.shared.segmentation_metrics import case_scores

    now = union(segments, made.size)
    if not now.any() and not reference.any():
        return "Nothing is outlined here and nothing in the reference: they agree."
    if not now.any() or not reference.any():
        return "One of outline and reference is empty: overlap (Dice) 0."
    scores = case_scores(torch.from_numpy(now)[None], torch.from_numpy(reference)[None], made.spacing_mm or 1.0)
    unit = "mm" if made.spacing_mm else "px"
    return (
        f"Overlap with the reference (Dice) <b>{float(scores.dice[0]):.3f}</b>; distance between the outlines {float(scores.assd_mm[0]):.3g} {unit} on average, "
        f"{float(scores.hd95_mm[0]):.3g} {unit} for all but the worst twentieth."
    )


def union(segments: Sequence[Segment], size: tuple[int, int]) -> np.ndarray:
    """bool (H, W): everything outlined."""
    found = np.zeros(size, bool)
    for one in segments:
        found |= one.mask
    return found


def _hint(words: str) -> str:
    return f"<p class='lb-hint'>{words}</p>"
