"""Evidence: what the study found, in sentences made from the numbers, and the whole card."""

from __future__ import annotations

import gradio as gr

from workbench.context import Context
from workbench.note_room.room import NO_PAPER, NoteRoom
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer


def evidence(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    known = room.card()
    if known is not None:
        note = (
            "<p>Made-up pictures and notes; no patient. EPIC and MITP are papers of one group with one core and share this engine, so their numbers are no "
            "independent evidence for each other.</p>"
        )
        html.show(html.card("What our study found", note, html.bullets(known.extra.get("findings", []))), elem_id=f"{room.id}_found")
    evidence_drawer(room.method, labels=room.labels(), paper_numbers=NO_PAPER)
