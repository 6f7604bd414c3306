"""Learn: the room's lesson, what could be read of the paper, the laws as live checks, and what was decided."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.context import Context
from workbench.note_room.room import NoteRoom
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel


def learn(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(room.lesson)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(room.method.paper.read)}</p>"))
    oracle_panel(room.id, _checks)
    deviations(room.method)


def _checks() -> list[Any]:
    from models.shared.prompt_interaction.checks import checks

    return checks()
