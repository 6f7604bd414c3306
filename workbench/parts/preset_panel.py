"""A method's own study as a job: a preset, a seed, start, stop, curves. Every Train drawer ends with it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls

WORK = "models.shared.preset_run:train"
DONE = "Finished. The shipped weights stay as they are; these are yours to take along."
_QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


def preset_panel(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the panel out and wire it; ids begin with `<method>_preset`."""
    first = next((preset for preset in method.presets if preset.name == "quick"), method.presets[0])
    with gr.Row():
        names = [(preset.name, preset.name) for preset in method.presets]
        chosen = gr.Dropdown(names, value=first.name, label="Preset", info=first.about, elem_id=f"{method.id}_preset", scale=3)
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="Other pictures, other starts.", min_width=120)
    controls = job_controls(f"{method.id}_preset_run", start_label="Run the study")
    board = training_board(elem_id=f"{method.id}_preset_board", done=DONE)

    def config(preset: str, seed: float | None) -> dict[str, Any]:
        return {"recipe": method.id, "preset": method.preset(preset).name, "seed": int(seed or 0)}

    def title(made: dict[str, Any]) -> str:
        return f"{method.title} study, preset {made['preset']}"

    controls.wire(context, board, config=config, inputs=[chosen, seed], work=WORK, title=title)
    chosen.change(lambda name: gr.Dropdown(info=method.preset(name).about), chosen, chosen, queue=False, **_QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=method.id), None, [board, controls.job], **_QUICK)
