"""Explore: the live race. Pick a task and the optimisers, start, turn a rate while it runs, stop, take the curves away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from models.sofim.arms import ARMS
from models.sofim.tasks import available
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts.browser import race_board
from workbench.parts.training_panel import Controls, command, job_controls
from workbench.tabs.sofim import api, recorded
from workbench.tabs.sofim.cases import cases
from workbench.tabs.sofim.names import SOFIM_ARMS, race_title
from workbench.tabs.sofim.race_settings import Settings, race_config, race_settings

WORK = "models.sofim.race:race"
DEFAULT_ARMS = ["sofim", "sgd_momentum", "adam"]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    api.publish(context)
    tasks = [item.task for item in available() if item.here]
    choices, first = [(task.title, task.id) for task in tasks], tasks[0]
    with gr.Row():
        task = gr.Dropdown(choices, value=first.id, label="Task", info=first.about, elem_id="sofim_task", scale=1)
        racers = [(arm.label, arm.id) for arm in ARMS.values()]
        arms = gr.CheckboxGroup(racers, value=DEFAULT_ARMS, label="Optimisers in the race", elem_id="sofim_arms", scale=2)
    settings = race_settings(method, task, first)
    controls = job_controls("sofim_race", start_label="Start the race", steps=True)
    board = race_board(recorded=recorded.race(method), elem_id="sofim_board")

    controls.wire(context, board, config=race_config, inputs=[task, arms, *settings.inputs], work=WORK, title=race_title)
    _turn_in_flight(context, controls, settings)
    cases(context, site)
    site.load(controls.find_again(context, board, WORK), None, [board, controls.job], show_progress="hidden", api_visibility="private")


def _turn_in_flight(context: Context, controls: Controls, settings: Settings) -> None:
    """A knob let go while a race runs changes that race at its next step; without a race it counts for the next one."""

    def wire(event: Any, component: Any, name: str, arms: tuple[str, ...]) -> None:
        def turn(request: gr.Request, job: str, value: float) -> None:
            for arm in arms:
                if arm in _racing(context, request, job):
                    command(context, request, job, {"do": "set", "arm": arm, "name": name, "value": float(value)})

        event(turn, [controls.job, component], None, queue=False, show_progress="hidden", api_visibility="private")

    for name, knob in settings.knobs.items():
        wire(knob.release if isinstance(knob, gr.Slider) else knob.released, knob, name, SOFIM_ARMS)
    for arm, rate in settings.rates.items():
        wire(rate.submit, rate, "lr", (arm,))


def _racing(context: Context, request: gr.Request, job: str) -> set[str]:
    """Optimisers in the visitor's race; none when there is no such race."""
    try:
        return {entry["id"] for entry in context.own_job(job, request).config["arms"]} if job else set()
    except JobNotFound:
        return set()
