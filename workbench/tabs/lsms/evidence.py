"""Evidence: what the study found, in sentences made from the numbers, real slices apart, and the whole card."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.lsms.names import LOWER, card, labels

NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    known = card()
    if known is not None:
        note = "<p>Made-up slices and our own phrases; no patient. The paper's own set of 2,283 slices is not public.</p>"
        html.show(html.card("What our study found", note, html.bullets(known.extra.get("findings", []))), elem_id="lsms_found")
        html.show(real(known.extra.get("real")), elem_id="lsms_real")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=NO_PAPER)


def real(found: dict | None) -> str:
    """What the phantom-trained network does on real organ slices; nothing where the card has none."""
    if not found:
        return ""
    rows = [
        [
            html.text(row["slice"]),
            html.text(row["phrase"]),
            f"{100 * row['highest']:.0f} %",
            f"{100 * row['outlined']:.1f} %",
            "–" if row["in_liver"] is None else f"{100 * row['in_liver']:.0f} %",
        ]
        for row in found["rows"]
    ]
    head = ["Slice", "Phrase", "Highest probability", "Outlined, of the picture", "Of that inside the liver's mask"]
    return html.card(
        f"On {found['n']} real slices ({html.text(found['name'])})",
        f"<p>{html.text(found['note'])} Licence: {html.text(found['licence'])}.</p>",
        html.table(head, rows),
    )
