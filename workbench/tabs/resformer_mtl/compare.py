"""Compare: the same scan through every network of its task: the whole method, its single-task twins, a plain U-Net, and one part taken out at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import probability_bars
from workbench.parts.events import EVENT, spoken
from workbench.parts.look_panels import jpeg_url
from workbench.parts.outline_measures import amount, measures, reference_of, union
from workbench.tabs.resformer_mtl import results
from workbench.tabs.resformer_mtl.desk import DESKS, Desk, Work, arms_of
from workbench.tabs.resformer_mtl.names import SHORT
from workbench.tabs.resformer_mtl.scan import truth

SIDE_PX = 256
COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115)], np.float32)


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The scan of the Explore drawer through every network", container=False)
    bars = probability_bars(elem_id="resformer_mtl_compare_bars", asks=True)
    table = html.show("", elem_id="resformer_mtl_compare_table")

    def ask(request: gr.Request, reference: Any, *values: Any) -> list[Any]:
        with spoken():
            return compared(desk, request, reference, values)

    bars.opened(ask, [desk.reference, *desk.inputs], [bars, table], **EVENT)


def compared(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> list[Any]:
    """Bars and table; values as `Desk.inputs`."""
    shown, network, _, threshold, smallest = values
    works = [desk.work(request, (shown, network, arm, threshold, smallest)) for _, arm in arms_of(desk.context, request, network)]
    reference, where = reference_of(works[0].scan, kept, truth)
    rows = [[_figure(work), html.text(SHORT[work.predictor.arm]), _outlined(work), _fit(work, reference)] for work in works]
    head = ["Outline", "Network", "Outlined", f"Against the reference ({where})" if reference is not None else "Against a reference"]
    return [gr.HTML(data=results.bars(works)), html.table(head, rows)]


def _figure(work: Work) -> str:
    pixels = work.scan.pixels
    canvas = (np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels).astype(np.float32)
    for number in range(1, int(work.result.mask.max()) + 1):
        inside = work.result.mask == number
        canvas[inside] += 0.5 * (COLOURS[(number - 1) % len(COLOURS)] - canvas[inside])
    step = max(1, round(max(canvas.shape[:2]) / SIDE_PX))
    words = f"{SHORT[work.predictor.arm]}: the outline laid over the scan"
    return f'<img src="{jpeg_url(np.rint(canvas[::step, ::step]).astype(np.uint8))}" alt="{html.text(words)}" width="160">'


def _outlined(work: Work) -> str:
    if work.prepared.probability is None:
        return "learned no outlines"
    found = measures(work.scan, work.segments())
    total = sum(one.area for _, one in found)
    return f"{len(found)} region{'s' * (len(found) > 1)}, {amount(total)} {found[0][1].unit}²" if found else "nothing"


def _fit(work: Work, reference: np.ndarray | None) -> str:
    if work.prepared.probability is None:
        return "–"
    if reference is None:
        return "bring a reference mask in Explore"
    import torch

    from models.shared.segmentation_metrics import dice

    now = union(work.segments(), reference.shape)
    value = float(dice(torch.from_numpy(now)[None], torch.from_numpy(reference)[None])[0]) if now.any() or reference.any() else 1.0
    return f"Dice {value:.3f}"
