"""Take along: what is outlined now, corrections included, as pictures, NIfTI, DICOM-SEG, and numbers, each with a stamp of what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench import exports
from workbench.mask_files import dicom_seg, is_dicom, nifti
from workbench.parts.segments import Segment
from workbench.tabs.resformer_mtl import results
from workbench.tabs.resformer_mtl.desk import EVENT, Desk, Late, Work, spoken
from workbench.tabs.resformer_mtl.scan import enlarged

KINDS = (
    ("overlay", "Overlay (PNG)"),
    ("mask", "Mask (PNG, one number a structure)"),
    ("nifti", "Mask (NIfTI)"),
    ("dicom", "Segmentation (DICOM-SEG)"),
    ("table", "Measures (CSV)"),
    ("record", "Everything (JSON)"),
)
HEAD = ("structure", "pixels", "area", "longest_diameter", "across", "equivalent_diameter", "unit", "centre_row", "centre_column")


@dataclass(frozen=True)
class TakeAlong:
    """The button that makes the files, and one button for each."""

    make: gr.Button
    files: tuple[gr.DownloadButton, ...]

    @property
    def outputs(self) -> list[Any]:
        """What `emptied` has values for."""
        return list(self.files)


def layout() -> TakeAlong:
    """One row."""
    with gr.Row(elem_classes="lb-controls", elem_id="resformer_mtl_files"):
        make = gr.Button("Make files of what is shown", elem_id="resformer_mtl_files_make", min_width=220, scale=0)
        files = tuple(gr.DownloadButton(label, visible=False, elem_id=f"resformer_mtl_file_{kind}") for kind, label in KINDS)
    return TakeAlong(make, files)


def wire(desk: Desk, parts: TakeAlong) -> None:
    """Connect the button."""

    def make(request: gr.Request, marked: Any, *values: Any) -> list[Any]:
        with spoken():
            try:
                made = contents(desk, request, marked, values)
            except Late:
                return [gr.skip() for _ in KINDS]
        return [
            gr.DownloadButton(value=exports.save(name, data), visible=True) if data else gr.DownloadButton(visible=False)
            for name, data in made
        ]

    parts.make.click(make, [desk.canvas, *desk.inputs], parts.outputs, **EVENT | {"show_progress": "minimal"})


def emptied() -> list[Any]:
    """Values of `TakeAlong.outputs` once the files no longer show what the page shows."""
    return [gr.DownloadButton(visible=False) for _ in KINDS]


def contents(desk: Desk, request: Any, marked: Any, values: Sequence[Any]) -> list[tuple[str, bytes]]:
    """File names and contents in the order of KINDS, masks at the file's own size; empty where a kind does not apply."""
    work = desk.work(request, values)
    _, marks = desk.marks(request, values[0], marked)
    chosen, picture = marks.chosen, work.scan.picture
    stamp = stamped(desk, work)
    shown_size = picture.pixels.shape[:2]
    full = {name: enlarged(mask, picture.full_size) for name, mask in structures(work, chosen).items()}
    path = desk.context.pictures.file(request, picture.shown)
    seg = dicom_seg(path, picture.shown.frame, full) if path and is_dicom(path) and any(mask.any() for mask in full.values()) else b""
    own = tuple(mm * seen / whole for mm, seen, whole in zip(picture.spacing_mm or (1, 1), shown_size, picture.full_size, strict=True))
    found = results.measures(work.scan, chosen)
    rows = [(name, one.pixels, one.area, one.longest, one.across, one.equivalent, one.unit, *one.centre) for name, one in found]
    return [
        ("resformer-overlay.png", exports.overlay_png(picture.pixels, [enlarged(one.mask, shown_size) for one in chosen], stamp=stamp)),
        ("resformer-mask.png", exports.mask_png(numbered(full, picture.full_size), stamp=stamp)),
        ("resformer-mask.nii.gz", nifti(numbered(full, picture.full_size), own)),
        ("resformer-segmentation.dcm", seg),
        ("resformer-measures.csv", exports.csv_bytes(HEAD, rows)),
        (
            "resformer.json",
            exports.json_bytes(
                {"answer": results.numbers(work), "measures_of_what_is_outlined": [dict(zip(HEAD, one, strict=True)) for one in rows]},
                stamp=stamp,
            ),
        ),
    ]


def stamped(desk: Desk, work: Work) -> dict[str, Any]:
    """What made a result."""
    predictor = work.predictor
    return exports.stamp(
        "resformer_mtl",
        checkpoints={"ResFormer-MTL": predictor.sha256},
        device=desk.context.device,
        task=predictor.task,
        network=predictor.arm,
    )


def structures(work: Work, chosen: Sequence[Segment]) -> dict[str, np.ndarray]:
    """Structure → mask in the working plane; what was brushed anew counts to the first structure."""
    names = work.predictor.structures
    found = {name: np.zeros(work.scan.pixels.shape[:2], bool) for name in names}
    for one in chosen:
        found[one.name if one.name in found else names[0]] |= one.mask
    return found


def numbered(masks: dict[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W): 0 outside, k inside the k-th structure; where they overlap the later one's."""
    labels = np.zeros(size, np.uint8)
    for number, mask in enumerate(masks.values(), 1):
        labels[mask] = number
    return labels
