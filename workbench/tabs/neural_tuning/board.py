"""The same picture, four requests: text, outlines or drawing, and neurons side by side, and how alike the neurons are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.parts import html
from workbench.parts.answers import hints
from workbench.parts.events import EVENT, spoken
from workbench.tabs.neural_tuning import neurons, results
from workbench.tabs.neural_tuning.desk import MAX_TEXT, Desk, settings_of
from workbench.tabs.neural_tuning.names import TASK_WORDS

SLOW = EVENT | {"show_progress": "minimal"}


@dataclass(frozen=True)
class Board:
    """Four boxes, and where the answers are shown."""

    boxes: Mapping[str, gr.Textbox]
    ask: gr.Button
    shown: gr.HTML


def board(asks: Mapping[str, Sequence[str]]) -> Board:
    """Lay it out; asks: task → requests to begin with."""
    gr.Markdown("#### The same picture, four requests", container=False)
    with gr.Row():
        boxes = {
            task: gr.Textbox(asks[task][0], label=words, max_length=MAX_TEXT, min_width=260, elem_id=f"neural_tuning_ask_{task}")
            for task, words in TASK_WORDS.items()
        }
    with gr.Row(elem_classes="lb-controls"):
        ask = gr.Button("Ask all four", elem_id="neural_tuning_four", min_width=200, scale=0)
    return Board(boxes, ask, html.show("", elem_id="neural_tuning_board", css_template=neurons.CSS))


def wire(desk: Desk, made: Board) -> None:
    """Answer all four with network and dials of the drawer."""

    def ask(request: gr.Request, *values: Any) -> str:
        return answered(desk, request, values[: len(made.boxes)], values[len(made.boxes) :])

    made.ask.click(ask, [*made.boxes.values(), *desk.inputs], made.shown, **SLOW)


def answered(desk: Desk, request: Any, texts: Sequence[str], values: Sequence[Any]) -> str:
    """Markup of the four answers and of how alike their neurons are; values as `Desk.inputs`. A box left empty is left out."""
    with spoken():
        settings = settings_of(values)
        works = {
            words: desk.ask(request, values[0], text, settings)
            for words, text in zip(TASK_WORDS.values(), texts, strict=True)
            if str(text or "").strip()
        }
    if not works:
        return hints(["Write at least one request."])
    cards = "".join(results.card(work, words) for words, work in works.items())
    fired = {words: work.fires for words, work in works.items() if work.fires is not None}
    alike = ""
    if len(fired) > 1:
        about = (
            "How alike the neurons of these answers are (cosine of how often each fires, 1: just as often). Requests to draw read no picture, so part of the "
            "difference is the picture's. Compare counts the same on test phantoms."
        )
        alike = hints([f"<b>{about}</b>"]) + neurons.matrix(list(fired), neurons.cosines(list(fired.values())))
    return f"<div class='lb-board'>{cards}</div>{alike}"
