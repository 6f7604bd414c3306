"""Evidence: what the studies found, in sentences made from the numbers, real sets apart, and the whole card."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.hsvlt.plan import ARMS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.hsvlt.names import MEASURES, card, labels

NO_PAPER = (
    "On MS-COCO the released training log reaches a mean average precision of 91.58 at 448 pixels, from a pretrained trunk; its numbers for other sets could "
    "not be read. None of this can be compared with the small networks here."
)


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    known = card()
    if known is not None:
        note = "<p>Made-up chest pictures; no patient. Intervals redraw the test pictures.</p>"
        html.show(html.card("What our studies found", note, html.bullets(known.extra.get("findings", []))), elem_id="hsvlt_found")
        html.show("".join(real(one) for one in known.extra.get("real", {}).values()), elem_id="hsvlt_real")
    evidence_drawer(method, labels=labels(), paper_numbers=NO_PAPER)


def real(found: dict[str, Any]) -> str:
    """The held-out numbers on a public set, whose weights do not ship."""
    rows = []
    for name, metric in found["metrics"].items():
        measure, _, arm = name.partition("/")[2].partition("@")
        label = MEASURES.get(measure, measure.replace("ap_", "Average precision, ").replace("_", " "))
        rows.append(
            [html.text(label), html.text(ARMS[arm or "full"].label), f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"]
        )
    note = f"<p>Real pictures, {found['n']} held out. Trained as the shipped network, but on these; the weights are not kept.</p>"
    return html.card(found["title"], note, html.table(["Measure", "Network", "Held-out value"], rows))
