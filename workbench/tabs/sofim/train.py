"""train."""

import gradio as gr


def train(method, context, site):
    gr.Markdown("…")
