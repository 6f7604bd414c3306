"""Evidence: what the studies found, in sentences made from the numbers, and the whole card."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.resformer_mtl.explore import card_of
from workbench.tabs.resformer_mtl.names import LOWER, labels

NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    card = card_of(method)
    if card is not None:
        note = "<p>Breast ultrasound: real scans (BUSI), split so that near copies stay together. Retina: made-up pictures.</p>"
        html.show(html.card("What our studies found", note, html.bullets(card.extra.get("findings", []))), elem_id="resformer_mtl_found")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=NO_PAPER)
