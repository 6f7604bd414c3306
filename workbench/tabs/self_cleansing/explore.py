"""Explore: the noise lab, and a scan of one's own outlined by networks that learned from right, wrong or cleansed labels."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.tabs.self_cleansing import api
from workbench.tabs.self_cleansing.lab import lab
from workbench.tabs.self_cleansing.names import WARNING
from workbench.tabs.self_cleansing.outline import outline


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="self_cleansing_warning")
    with gr.Tabs(elem_id="self_cleansing_halves"):
        with gr.Tab("Noise lab", id="self_cleansing_lab"):
            lab(method, context, site)
        with gr.Tab("Outline a scan", id="self_cleansing_outline"):
            outline(method, context, site)
    api.publish(context, method)
