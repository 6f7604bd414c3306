"""Evidence: what the study found, in sentences made from the numbers, and the whole card."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.mit.names import LOWER, NO_PAPER, card, labels


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    known = card()
    if known is not None:
        note = (
            "<p>Made-up pictures, notes and phrases; no patient. <b>Text alone</b> says how much of a task the words give away by themselves, and <b>every true "
            "lesion</b> how much an outline gets right without understanding the phrase.</p>"
        )
        html.show(html.card("What our study found", note, html.bullets(known.extra.get("findings", []))), elem_id="mit_found")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=NO_PAPER)
