"""The board of a training that the page follows: loss curves, held-out scores with intervals, files to take away.

For jobs whose events are those of `models.shared.preset_run` (a room's preset) or of a few-shot training such as `models.promim.own`:
`meta`, `points` or `progress`, `scores`, `result`. Races have a board of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from workbench.parts.browser import _drawn


def training_board(*, elem_id: str, colours: Mapping[str, int] | None = None, done: str = "") -> gr.HTML:
    """Update with `gr.HTML(job={"id": …})`; fires `ended`. colours: arm → place in the page's colours. done: what to say when it has finished."""
    return _drawn("trainBoard", job={}, colours=dict(colours or {}), done=done, elem_id=elem_id)
