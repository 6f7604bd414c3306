"""Compare: the same picture through every network; and precision and recall on fresh test pictures as the threshold moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np

from models.hsvlt.findings import FINDINGS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import Gauge, gauges, gauges_data
from workbench.parts.events import EVENT, spoken
from workbench.tabs.hsvlt.desk import DESKS, Desk, Work, predictor_of, thresholds_of
from workbench.tabs.hsvlt.names import SCALES, SHORT, arm_choices
from workbench.tabs.hsvlt.scan import truth

PICTURES, FIRST = 300, 20_000
"""Test pictures for the rates, beyond those that the card's numbers come from."""


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The picture of the Explore drawer through every network", container=False)
    decided = gauges(elem_id="hsvlt_compare_gauges", asks=True)
    table = html.show("", elem_id="hsvlt_compare_table")
    gr.Markdown(f"#### What a threshold costs: {PICTURES} fresh made-up pictures, the network chosen in Explore", container=False)
    with gr.Row():
        threshold = gr.Slider(
            0.02, 0.98, value=0.5, step=0.01, label="Reported from this probability", elem_id="hsvlt_rates_threshold", scale=3
        )
        top = gr.Radio(
            [("All", 0), ("The 3 most probable", 3)], value=0, label="Of a picture may be reported", elem_id="hsvlt_rates_top", scale=2
        )
    rates = html.show("", elem_id="hsvlt_rates")

    def ask(request: gr.Request, threshold: float, top: int, *values: Any) -> list[Any]:
        with spoken():
            return [*compared(desk, request, values), rated(desk, values[1], threshold, top, values[3])]

    def again(arm: str, threshold: float, top: int, own: dict) -> str:
        with spoken():
            return rated(desk, arm, threshold, top, own)

    decided.opened(ask, [threshold, top, *desk.inputs], [decided, table, rates], **EVENT)
    for event in (threshold.release, top.input):
        event(again, [desk.arm, threshold, top, desk.own_thresholds], rates, **EVENT)


def compared(desk: Desk, request: Any, values: Sequence[Any]) -> list[Any]:
    """How many decisions of each network are right (or how many findings it reports, where the truth is not known), and its probabilities; values as `Desk.inputs`."""
    shown, _, threshold, own, *_ = values
    works = [desk.work(request, (shown, arm, threshold, own, FINDINGS, SCALES)) for _, arm in arm_choices()]
    known = truth(shown)
    items = []
    for place, work in enumerate(works):
        said = len(work.reported)
        right = said if known is None else sum((name in work.reported) == (name in known) for name in FINDINGS)
        words = f"{said} reported" if known is None else f"{right} of {len(FINDINGS)} right"
        items.append(Gauge(SHORT[work.predictor.arm], right, high=len(FINDINGS), text=words, colour=place))
    about = (
        "What is truly there is not known."
        if known is None
        else f"Truly there: {', '.join(known) or 'nothing'}. Leaving out what is absent counts as right, too."
    )
    rows = [
        [html.text(name) + (" <small>(is there)</small>" if known and name in known else ""), *(_cell(work, row) for work in works)]
        for row, name in enumerate(FINDINGS)
    ]
    table = html.table(["Probability of (bold: reported)", *(SHORT[work.predictor.arm] for work in works)], rows)
    return [gr.HTML(data=gauges_data(items, title="Decisions at the thresholds of Explore", about=about)), table]


def _cell(work: Work, row: int) -> str:
    words = f"{100 * work.answer.probability[row]:.0f} %"
    return f"<b>{words}</b>" if FINDINGS[row] in work.reported else words


def rated(desk: Desk, arm: str, threshold: float, top: int, own: Mapping[str, float] | None = None) -> str:
    """Precision and recall by finding, and F1 of all decisions together."""
    from models.hsvlt.metrics import rates

    predictor = predictor_of(desk.context, arm)
    scores, y = _scores(predictor)
    thresholds = thresholds_of(own, threshold)
    found = rates(scores, y, np.array([thresholds[name] for name in FINDINGS]), top=top or None)
    rows = [
        [html.text(name), f"{thresholds[name]:.2f}", _share(found.precision[k]), _share(found.recall[k]), str(int(y[:, k].sum()))]
        for k, name in enumerate(FINDINGS)
    ]
    summary = f"<p class='lb-hint'>All decisions together: F1 <b>{found.of1:.2f}</b>; mean of the findings: F1 <b>{found.cf1:.2f}</b>.</p>"
    return summary + html.table(
        ["Finding", "Reported from", "Of what is reported, right (precision)", "Of what is there, found (recall)", "There in"], rows
    )


def _share(value: float) -> str:
    return "nothing reported" if np.isnan(value) else f"{100 * value:.0f} %"


@lru_cache(maxsize=12)
def _scores(predictor: Any) -> tuple[np.ndarray, np.ndarray]:
    from models.hsvlt.study_data import phantom_cases
    from models.hsvlt.training import answers

    cases = phantom_cases("test", PICTURES, predictor.side, FIRST)
    return answers(predictor.net, cases.x, predictor.vectors).numpy(), cases.y.numpy()
