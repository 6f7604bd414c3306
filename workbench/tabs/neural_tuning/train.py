"""Train: the room's own study as a job, to watch or to repeat."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.preset_panel import preset_panel


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown(
        "#### The study behind the Evidence drawer, run here\n\nPicture reader and language model stay frozen; the neurons, the map from patches to words, the task "
        "tokens' rows and the decoders learn. Every run draws pictures and requests anew from fixed seeds, so the same preset gives the same numbers. “quick” shows that everything runs.",
        container=False,
    )
    preset_panel(method, context, site)
