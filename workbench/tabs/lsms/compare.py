"""Compare: the same picture and phrase through every network: the method, without language, without scales, and one part taken out at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import Gauge, gauges, gauges_data
from workbench.parts.events import EVENT, spoken
from workbench.parts.look_panels import jpeg_url
from workbench.parts.outline_measures import amount, measures, reference_of, union
from workbench.tabs.lsms import results
from workbench.tabs.lsms.desk import DESKS, Desk, Work
from workbench.tabs.lsms.names import SHORT, arm_choices
from workbench.tabs.lsms.scan import truth_of


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The slice and phrase of the Explore drawer through every network", container=False)
    chart = gauges(elem_id="lsms_compare_gauges", asks=True)
    table = html.show("", elem_id="lsms_compare_table")

    def ask(request: gr.Request, reference: Any, *values: Any) -> list[Any]:
        with spoken():
            return compared(desk, request, reference, values)

    chart.opened(ask, [desk.reference, *desk.inputs], [chart, table], **EVENT)


def compared(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> list[Any]:
    """Gauges and table; values as `Desk.inputs`."""
    shown, phrase, _, threshold, _ = values
    works = [desk.work(request, (shown, phrase, arm, threshold, 0.5)) for _, arm in arm_choices()]
    reference, where = reference_of(works[0].scan, kept, truth_of(works[0].phrase))
    items = [
        Gauge(SHORT[work.predictor.arm], work.answer.highest, text=f"{100 * work.answer.highest:.0f} %", colour=place)
        for place, work in enumerate(works)
    ]
    title = f"Highest probability of “{works[0].phrase}” anywhere"
    about = "Below 50 % a network says that nothing fits the phrase."
    rows = [[_figure(work), html.text(SHORT[work.predictor.arm]), _outlined(work), _fit(work, reference), _turned(work)] for work in works]
    against = f"Against the reference ({where})" if reference is not None else "Against a reference"
    head = ["Outline", "Network", "Outlined", against, "With one word turned round"]
    return [gr.HTML(data=gauges_data(items, title=title, about=about)), html.table(head, rows)]


def _figure(work: Work) -> str:
    words = f"{SHORT[work.predictor.arm]}: the outline laid over the slice"
    return f'<img src="{jpeg_url(results.overlay(work))}" alt="{html.text(words)}" width="160">'


def _outlined(work: Work) -> str:
    found = measures(work.scan, work.segments())
    total = sum(one.area for _, one in found)
    return f"{len(found)} region{'s' * (len(found) > 1)}, {amount(total)} {found[0][1].unit}²" if found else "no matching lesion"


def _fit(work: Work, reference: np.ndarray | None) -> str:
    if reference is None:
        return "bring a reference mask in Explore"
    import torch

    from models.shared.segmentation_metrics import dice

    now = union(work.segments(), reference.shape)
    if not reference.any():
        return "rightly nothing" if not now.any() else "wrongly something: nothing fits the phrase"
    return f"Dice {float(dice(torch.from_numpy(now)[None], torch.from_numpy(reference)[None])[0]):.3f}"


def _turned(work: Work) -> str:
    """How far the answer moves when the first word with an opposite is turned."""
    from models.lsms.phrases import counterfactuals

    turns = counterfactuals(work.phrase)
    if not turns:
        return "no word to turn"
    word, other, text = turns[0]
    before = work.answer.mask(work.threshold)
    (after,) = work.predictor.masks(work.prepared, [text], work.threshold)
    either = int((before | after).sum())
    words = f"{html.text(word)} → {html.text(other)}: "
    if not either:
        return words + "nothing both times"
    return words + f"{100 * int((before & after).sum()) / either:.0f} % of the outline stays"
