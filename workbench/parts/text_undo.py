"""Undo for a text box, also where a suggestion or another picture has filled it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.parts.events import QUICK

KEPT = 50


def text_undo(box: gr.Textbox, undo: gr.Button) -> None:
    """Remember every settled text of `box`, for this page; `undo` brings the one before back."""
    past, now = gr.State([]), gr.State(box.value)

    def remember(text: str, past: list[str], now: str) -> list[Any]:
        return [past, now, gr.skip()] if text == now else [[*past, now][-KEPT:], text, gr.Button(interactive=True)]

    def back(past: list[str], now: str) -> list[Any]:
        earlier = past[-1] if past else now
        return [earlier, past[:-1], earlier, gr.Button(interactive=len(past) > 1)]

    box.change(remember, [box, past, now], [past, now, undo], **QUICK)
    undo.click(back, [past, now], [box, past, now, undo], **QUICK)
