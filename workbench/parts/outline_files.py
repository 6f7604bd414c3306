"""Files of what is outlined on a scan: overlay, mask, NIfTI, DICOM-SEG where the scan came as DICOM, measures, and everything with its stamp.

files = outline_files("room")                    # one row: a button that makes them, and one for each
files.wire(make, inputs)                         # make(request, *values) -> Outlined, or None when the page has gone on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from workbench import exports
from workbench.context import Context
from workbench.mask_files import dicom_seg, is_dicom, nifti
from workbench.parts.outline_measures import measures
from workbench.parts.segments import Segment
from workbench.working_scan import Scan, resized_mask

KINDS = (
    ("overlay", "Overlay (PNG)"),
    ("mask", "Mask (PNG, one number a structure)"),
    ("nifti", "Mask (NIfTI)"),
    ("dicom", "Segmentation (DICOM-SEG)"),
    ("table", "Measures (CSV)"),
    ("record", "Everything (JSON)"),
)
HEAD = ("structure", "pixels", "area", "longest_diameter", "across", "equivalent_diameter", "unit", "centre_row", "centre_column")


@dataclass(frozen=True, eq=False)
class Outlined:
    """What the files are made of."""

    scan: Scan
    segments: Sequence[Segment]
    structures: Sequence[str]
    """Names that segments may have, in the order of their numbers; a segment of another name counts to the first."""
    answer: Mapping[str, Any]
    """What the method said, as plain values."""
    stamp: Mapping[str, Any]


@dataclass(frozen=True)
class OutlineFiles:
    """The button that makes the files, and one button for each."""

    make: gr.Button
    files: tuple[gr.DownloadButton, ...]
    room: str

    @property
    def outputs(self) -> list[Any]:
        """What `emptied` has values for."""
        return list(self.files)

    def wire(self, context: Context, outlined: Callable[..., Outlined | None], inputs: Sequence[Any], **event: Any) -> None:
        """outlined(request, *values of inputs): raises gr.Error with a sentence for what cannot be used."""

        def made(request: gr.Request, *values: Any) -> list[Any]:
            found = outlined(request, *values)
            if found is None:
                return [gr.skip() for _ in KINDS]
            try:
                files = contents(context, request, found, self.room)
            except (ValueError, FileNotFoundError) as refused:
                raise gr.Error(str(refused), print_exception=False) from None
            return [
                gr.DownloadButton(value=exports.save(name, data), visible=True) if data else gr.DownloadButton(visible=False)
                for name, data in files
            ]

        self.make.click(made, list(inputs), self.outputs, **event | {"show_progress": "minimal"})


def outline_files(room: str) -> OutlineFiles:
    """One row; ids begin with `room`."""
    with gr.Row(elem_classes="lb-controls", elem_id=f"{room}_files"):
        make = gr.Button("Make files of what is shown", elem_id=f"{room}_files_make", min_width=220, scale=0)
        files = tuple(gr.DownloadButton(label, visible=False, elem_id=f"{room}_file_{kind}") for kind, label in KINDS)
    return OutlineFiles(make, files, room)


def emptied() -> list[Any]:
    """Values of `OutlineFiles.outputs` once the files no longer show what the page shows."""
    return [gr.DownloadButton(visible=False) for _ in KINDS]


def contents(context: Context, request: Any, made: Outlined, room: str) -> list[tuple[str, bytes]]:
    """File names and contents in the order of KINDS, masks at the file's own size; empty where a kind does not apply. ValueErrors with a sentence."""
    picture = made.scan.picture
    full = {name: resized_mask(mask, picture.full_size) for name, mask in by_structure(made).items()}
    path = context.pictures.file(request, picture.shown)
    seg = b""
    if path is not None and is_dicom(path) and any(mask.any() for mask in full.values()):
        seg = dicom_seg(path, picture.shown.frame, full)
    shown_size = picture.pixels.shape[:2]
    spacing = tuple(mm * seen / own for mm, seen, own in zip(picture.spacing_mm or (1, 1), shown_size, picture.full_size, strict=True))
    rows = [
        (name, one.pixels, one.area, one.longest, one.across, one.equivalent, one.unit, *one.centre)
        for name, one in measures(made.scan, made.segments)
    ]
    record = {"answer": made.answer, "measures_of_what_is_outlined": [dict(zip(HEAD, row, strict=True)) for row in rows]}
    masks = [resized_mask(one.mask, shown_size) for one in made.segments]
    return [
        (f"{room}-overlay.png", exports.overlay_png(picture.pixels, masks, stamp=made.stamp)),
        (f"{room}-mask.png", exports.mask_png(numbered(full, picture.full_size), stamp=made.stamp)),
        (f"{room}-mask.nii.gz", nifti(numbered(full, picture.full_size), spacing)),
        (f"{room}-segmentation.dcm", seg),
        (f"{room}-measures.csv", exports.csv_bytes(HEAD, rows)),
        (f"{room}.json", exports.json_bytes(record, stamp=made.stamp)),
    ]


def by_structure(made: Outlined) -> dict[str, np.ndarray]:
    """Structure → mask bool (H, W) in the working plane."""
    found = {name: np.zeros(made.scan.size, bool) for name in made.structures}
    for one in made.segments:
        found[one.name if one.name in found else made.structures[0]] |= one.mask
    return found


def numbered(masks: Mapping[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W): 0 outside, k inside the k-th structure; where they overlap the later one's."""
    labels = np.zeros(size, np.uint8)
    for number, mask in enumerate(masks.values(), 1):
        labels[mask] = number
    return labels
