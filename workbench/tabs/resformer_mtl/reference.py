"""A reference outline: a phantom's own, or a mask the visitor brings; and the measures of what is outlined against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench.imaging import load
from workbench.parts.segments import decode, encode
from workbench.tabs.resformer_mtl import results
from workbench.tabs.resformer_mtl.desk import EVENT, Desk, Late, spoken
from workbench.tabs.resformer_mtl.scan import Scan, enlarged, truth

PHANTOM = "the phantom's own outline"
BUSI = "the outline that comes with BUSI"
OWN = "the mask you brought"


@dataclass(frozen=True)
class Brought:
    """The button, and what was brought: {"picture", "size", "runs"} or None."""

    upload: gr.UploadButton
    forget: gr.Button
    state: gr.State


def layout() -> Brought:
    """One row."""
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Bring a reference mask", elem_id="resformer_mtl_reference", min_width=200, scale=0)
        forget = gr.Button("Forget it", visible=False, elem_id="resformer_mtl_reference_forget", min_width=120, scale=0)
    return Brought(upload, forget, gr.State(None))


def wire(desk: Desk, parts: Brought, table: gr.HTML) -> None:
    """Connect the buttons."""

    def bring(request: gr.Request, path: str, shown: Any, marked: Any) -> list[Any]:
        with spoken():
            made = desk.scan(request, shown)
            kept = read(path, made)
        return [kept, gr.Button(visible=True), measured(desk, request, (shown, marked, kept))]

    def drop(request: gr.Request, shown: Any, marked: Any) -> list[Any]:
        return [None, gr.Button(visible=False), measured(desk, request, (shown, marked, None))]

    outputs = [parts.state, parts.forget, table]
    parts.upload.upload(bring, [parts.upload, desk.shown, desk.canvas], outputs, **EVENT)
    parts.forget.click(drop, [desk.shown, desk.canvas], outputs, **EVENT)


def read(path: str, made: Scan) -> dict[str, Any]:
    """A mask file as what the page keeps of it. InputRefused, or ValueError with a sentence for a picture of another shape or more than two levels."""
    pixels = load(path).display()
    grey = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    height, width = made.picture.full_size
    if abs(grey.shape[0] / grey.shape[1] - height / width) > 0.02 * height / width:
        raise ValueError(
            f"The mask has {grey.shape[1]}×{grey.shape[0]} pixels and the picture {width}×{height}; bring a mask of the same shape."
        )
    levels = np.unique(grey)
    if len(levels) > 32:
        raise ValueError("This picture has many grey levels and is no mask; bring one that is black outside and of one colour inside.")
    mask = enlarged(grey > 0, made.pixels.shape[:2])
    return {"picture": made.id, "size": list(mask.shape), "runs": encode(mask)}


def reference_of(made: Scan, kept: dict[str, Any] | None) -> tuple[np.ndarray | None, str]:
    """(mask or None, where it is from)."""
    if kept and kept.get("picture") == made.id:
        return decode(kept["runs"], *kept["size"]), OWN
    return truth(made), PHANTOM if made.picture.shown.id.startswith(("asset:", "phantom:")) else BUSI


def measured(desk: Desk, request: Any, values: Any) -> Any:
    """The table of what is outlined now; values: shown, canvas, reference."""
    shown, marked, kept = values
    with spoken():
        try:
            made, marks = desk.marks(request, shown, marked)
        except Late:
            return gr.skip()
        return results.table(made, marks.chosen, *reference_of(made, kept))
