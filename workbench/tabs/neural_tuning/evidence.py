"""Evidence: what the study found, in sentences made from the numbers, and the whole card."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.neural_tuning.names import LOWER, NO_PAPER, card, labels


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    known = card()
    if known is not None:
        note = (
            "<p>Made-up pictures and requests; no patient. As the map from patches and the decoders are trained too, only the difference to <b>everything trained "
            "except the neurons</b> belongs to neural tuning. <b>Every true lesion outlined</b> and <b>the mean training picture</b> say how far one gets without understanding the request.</p>"
        )
        html.show(html.card("What our study found", note, html.bullets(known.extra.get("findings", []))), elem_id="neural_tuning_found")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=NO_PAPER)
