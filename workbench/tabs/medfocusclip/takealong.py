"""Take along: the overlay, the mask and the numbers of what is shown, each with a stamp of what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from models.medfocusclip.answers import Answer
from workbench import exports
from workbench.parts.events import EVENT, Late, spoken
from workbench.parts.segments import Segment, encode
from workbench.tabs.medfocusclip import results
from workbench.tabs.medfocusclip.desk import Desk, Work
from workbench.tabs.medfocusclip.engine import stamp_of
from workbench.tabs.medfocusclip.names import SHORT
from workbench.working_scan import resized_mask

KINDS = (
    ("overlay", "Overlay (PNG)"),
    ("painted", "Painted picture (PNG)"),
    ("mask", "Mask (PNG, one number a segment)"),
    ("table", "Numbers (CSV)"),
    ("record", "Everything (JSON)"),
)
HEAD = ("way", "class", "probability", "uncertainty_bits", "attention_inside_rollout", "answered_by")


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
    with gr.Row(elem_classes="lb-controls", elem_id="medfocusclip_files"):
        make = gr.Button("Make files of what is shown", elem_id="medfocusclip_files_make", min_width=220, scale=0)
        files = tuple(gr.DownloadButton(label, visible=False, elem_id=f"medfocusclip_file_{kind}") for kind, label in KINDS)
    return TakeAlong(make, files)


def wire(desk: Desk, parts: TakeAlong) -> None:
    """Connect the button."""

    def make(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            try:
                work = desk.work(request, values)
            except Late:
                return [gr.skip() for _ in KINDS]
            return [gr.DownloadButton(value=exports.save(name, data), visible=True) for name, data in contents(desk, work)]

    parts.make.click(make, desk.inputs, parts.outputs, **EVENT | {"show_progress": "minimal"})


def emptied() -> list[Any]:
    """Values of `TakeAlong.outputs` once the files no longer show what the page shows."""
    return [gr.DownloadButton(visible=False) for _ in KINDS]


def contents(desk: Desk, work: Work) -> list[tuple[str, bytes]]:
    """File names and contents, in the order of KINDS; masks at the picture's own size."""
    options = work.options()
    answer = work.rooms.classify(work.prepared, work.segments, options)
    painted = work.rooms.classify(work.prepared, work.segments, replace(options, modes=("painted",)))
    stamp = stamp_of(desk.context, work.rooms, picture=work.scan.picture.title, controls=work.asked.values)
    masks = [resized_mask(one.mask, work.scan.picture.pixels.shape[:2]) for one in work.chosen]
    record = {"answer": results.numbers(answer), "segments": [segment_row(one) for one in work.marks.segments]}
    return [
        ("medfocusclip-overlay.png", exports.overlay_png(work.scan.picture.pixels, masks, stamp=stamp)),
        ("medfocusclip-painted.png", exports.overlay_png(painted.views["painted"].picture, [], stamp=stamp)),
        ("medfocusclip-mask.png", exports.mask_png(numbered(masks, work.scan.picture.pixels.shape[:2]), stamp=stamp)),
        ("medfocusclip-numbers.csv", exports.csv_bytes(HEAD, rows(answer))),
        ("medfocusclip.json", exports.json_bytes(record, stamp=stamp)),
    ]


def numbered(masks: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """One picture of numbers, 0 outside and k for the k-th mask; where masks overlap, the smallest one's, as in the painting."""
    labels = np.zeros(size, np.uint8)
    for number in sorted(range(len(masks)), key=lambda k: -int(masks[k].sum())):
        labels[masks[number]] = number + 1
    return labels


def segment_row(one: Segment) -> dict[str, Any]:
    """A segment in words and numbers, its mask as run lengths of the working plane."""
    return {
        "name": one.name,
        "counted_in": one.on,
        "pixels": 0 if one.mask is None else int(one.mask.sum()),
        "estimated_fit": one.iou,
        "stability": one.stability,
        "clicks": one.points,
        "box": one.box,
        "run_lengths": None if one.mask is None else encode(one.mask),
    }


def rows(answer: Answer) -> list[list[Any]]:
    """One row for each way and class."""
    return [
        [SHORT[mode], name, float(view.probabilities[place]), view.entropy, view.rollout_mass, view.weights]
        for mode, view in answer.views.items()
        for place, name in enumerate(answer.classes)
    ]
