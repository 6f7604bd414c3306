"""learn"""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    gr.Markdown("…")
