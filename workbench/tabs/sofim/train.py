"""Train: one network, one optimiser, here and now; its weights can be asked in Explore as soon as it ends, and taken away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from models.sofim.arms import ARMS
from models.sofim.race_config import read
from models.sofim.tasks import available
from workbench.context import Context
from workbench.parts.browser import log_slider, race_board
from workbench.parts.training_panel import job_controls
from workbench.tabs.sofim.cases import TRAIN
from workbench.tabs.sofim.names import SOFIM_ARMS
from workbench.tabs.sofim.train_table import OWN_TABLE, TITLE, own_table, part_of_config, shown, title_of


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    here = [item.task for item in available() if item.here]
    first = here[0]
    gr.Markdown(
        "Train a network on this machine. When it ends, or when you stop it, its weights are kept in your own workspace: "
        "*Explore* asks it about held-out cases beside the shipped networks (not for a table of your own), and you can take the weights away.",
        container=False,
    )
    with gr.Row():
        task = gr.Dropdown(
            [*((item.title, item.id) for item in here), (TITLE, OWN_TABLE)],
            value=first.id,
            label="Task",
            info=first.about,
            elem_id="sofim_train_task",
            scale=2,
        )
        arm = gr.Dropdown(
            [(arm.label, arm.id) for arm in ARMS.values()],
            value="sofim",
            label="Optimiser",
            info=ARMS["sofim"].note,
            elem_id="sofim_train_arm",
            scale=1,
        )
    own = own_table(context)
    with gr.Row(equal_height=True):
        lr = log_slider("Learning rate η", 0.1, 0.0001, 10, info="Scales every step.", elem_id="sofim_train_lr")
        rho = log_slider(
            "Distrust of the curvature ρ (SOFIM)", 0.5, 0.001, 10, info="Used by the SOFIM methods alone.", elem_id="sofim_train_rho"
        )
        steps = gr.Slider(50, 5000, value=first.steps, step=10, label="Steps", elem_id="sofim_train_steps")
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="Fixes initial weights and the order of the cases.", min_width=120)
    controls = job_controls("sofim_train", start_label="Start the training")
    board = race_board(elem_id="sofim_train_board")

    def config(task: str, arm: str, lr: float, rho: float, steps: int, seed: int | None, path: str, label: str | None) -> dict[str, Any]:
        entry = {"id": arm, "lr": float(lr)} | ({"rho": float(rho)} if arm in SOFIM_ARMS else {})
        made = {"task": task, "arms": [entry], "steps": int(steps), "seeds": [int(seed or 0)]} | part_of_config(task, path, label)
        read(made)  # before a training that is going is given up for this one
        return made

    controls.wire(
        context, board, config=config, inputs=[task, arm, lr, rho, steps, seed, own.path, own.label], work=TRAIN,
        title=lambda made: f"Training: {title_of(made['task'])} with {ARMS[made['arms'][0]['id']].label}",
    )  # fmt: skip
    quick = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    own.wire(task)
    task.change(shown, task, [task, steps, own.panel], **quick)
    arm.change(_arm_defaults, arm, [arm, lr], **quick)
    site.load(controls.find_again(context, board, TRAIN), None, [board, controls.job], show_progress="hidden", api_visibility="private")


def _arm_defaults(arm_id: str) -> tuple[gr.Dropdown, gr.HTML]:
    arm = ARMS[arm_id]
    rate = next(hyper.default for hyper in arm.hypers if hyper.name == "lr")
    return gr.Dropdown(info=arm.note), gr.HTML(value=rate, start=rate)
