"""compare."""

import gradio as gr


def compare(method, context, site):
    gr.Markdown("…")
