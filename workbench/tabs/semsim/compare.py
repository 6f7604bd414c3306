"""Compare: the same slice through every network, at every number of labelled slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import Series, bars_data, probability_bars
from workbench.parts.events import EVENT, spoken
from workbench.parts.outline_measures import reference_of, union
from workbench.tabs.semsim import drawn
from workbench.tabs.semsim.desk import DESKS, Desk, Work, arms_of, facts_of, levels
from workbench.tabs.semsim.names import SHORT, plain
from workbench.tabs.semsim.scan import structures, truth


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The slice of the Explore drawer through every network and every number of labels", container=False)
    chart = probability_bars(elem_id="semsim_compare_bars", asks=True)
    table = html.show("", elem_id="semsim_compare_table")

    def ask(request: gr.Request, reference: Any, *values: Any) -> list[Any]:
        with spoken():
            return compared(desk, request, reference, values)

    chart.opened(ask, [desk.reference, *desk.asked], [chart, table], **EVENT)


def compared(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> list[Any]:
    """Bars of the overlap by number of labels, and a table of outlines; values as `Desk.asked`."""
    shown, network, *_ = values
    facts = facts_of(desk.context, request, network)
    counts = levels(facts)
    works = {(arm, count): desk.work(request, (shown, network, arm, count)) for count in counts for _, arm in arms_of(facts, count)}
    first = next(iter(works.values()))
    reference, where = reference_of(first.scan, kept, truth)
    arms = sorted({arm for arm, _ in works}, key=list(SHORT).index)
    rows = [[html.text(SHORT[arm]), *(_cell(works.get((arm, count)), reference) for count in counts)] for arm in arms]
    head = ["Network", *(f"{count} labelled" for count in counts)]
    note = f"<p class='lb-hint'>Against the reference: {html.text(where)}. One slice proves nothing; the Evidence drawer has the held-out numbers.</p>"
    return [gr.HTML(data=_bars(works, counts, arms, reference)), drawn.legend(first.predictor.structures) + html.table(head, rows) + note]


def _bars(works: dict, counts: Sequence[int], arms: Sequence[str], reference: np.ndarray | None) -> dict[str, Any]:
    if reference is None:
        return {"title": "Overlap with a reference", "empty": "Bring a reference mask in Explore to see how well each network fits it."}
    whole = [arm for arm in arms if all((arm, count) in works for count in counts)]
    series = [Series(SHORT[arm], place, [_dice(works[arm, count], reference) for count in counts]) for place, arm in enumerate(whole)]
    names = [f"{count} labelled slice{'s' * (count > 1)}" for count in counts]
    return bars_data(names, series, title="Overlap with the reference (Dice)", about="Everything outlined together, on this one slice.")


def _cell(work: Work | None, reference: np.ndarray | None) -> str:
    if work is None:
        return "–"
    words = f"{SHORT[work.predictor.arm]}, {work.predictor.labelled} labelled: the outline over the slice"
    side = work.prepared.seen.shape[0]
    rows, columns = (np.arange(side) * own // side for own in work.result.mask.shape)
    image = f'<img src="{drawn.overlay(work.prepared.seen, work.result.mask[rows[:, None], columns])}" alt="{html.text(words)}" width="140" height="140">'
    told = "" if reference is None else f"<br>Dice {_dice(work, reference):.3f}"
    return f"{image}{told}{_each(work)}"


def _each(work: Work) -> str:
    """Dice of each structure where the phantom's truth is known."""
    known = structures(work.scan) if work.predictor.kind == "phantom" else None
    if known is None:
        return ""
    parts = []
    for number, name in enumerate(work.predictor.structures, 1):
        got, want = work.result.mask == number, known == number
        parts.append(f"{html.text(plain(name))} {2 * (got & want).sum() / max(1, got.sum() + want.sum()):.2f}")
    return f"<br><small>{'<br>'.join(parts)}</small>"


def _dice(work: Work, reference: np.ndarray) -> float:
    now = union(work.segments(), reference.shape)
    total = int(now.sum() + reference.sum())
    return 2.0 * float((now & reference).sum()) / total if total else 1.0
