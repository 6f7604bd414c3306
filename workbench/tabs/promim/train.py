"""Train: prompts from a visitor's own pictures, cross-validated and usable in Explore at once; and the room's own study as a job."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.promim.arms import ARMS
from models.promim.presets import RATIOS, WEIGHTS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls
from workbench.tabs.promim.controls import QUICK, own_prompts
from workbench.tabs.promim.desk import RECIPE
from workbench.tabs.promim.names import COLOURS
from workbench.tabs.promim.own_zip import config_of, own_zip
from workbench.tabs.promim.scene import Scene, scene_of
from workbench.zip_pictures import WORK

DONE = "Finished. In Explore, choose your training under “Learned prompts” to use it on any picture."
TEMPLATE = "a photo of a {}."


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    scene = scene_of(site)
    gr.Markdown("#### Prompts for your own classes", container=False)
    _own(context, site, scene)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _own(context: Context, site: gr.Blocks, scene: Scene) -> None:
    mine = own_zip(context)
    mine.wire()
    with gr.Row():
        arms = gr.CheckboxGroup(
            [(arm.title, arm.id) for arm in ARMS.values() if arm.learned],
            value=["coop", "cocoop", "promim"],
            label="Methods to train",
            info="CLIP with your class names stands beside them and needs no training.",
            elem_id="promim_train_arms",
            scale=2,
        )
        epochs = gr.Slider(
            2, 40, value=10, step=1, label="Rounds through the pictures", info="More takes longer.", elem_id="promim_train_epochs"
        )
        folds = gr.Slider(
            2,
            5,
            value=3,
            step=1,
            label="Parts left out in turn",
            info="Each picture is asked once by prompts that never saw it.",
            elem_id="promim_train_folds",
        )
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            ratio = gr.Radio([(f"{100 * share:.0f} %", share) for share in RATIOS], value=0.75, label="Share hidden from ProMIM (r)")
            weight = gr.Radio([(f"{value:g}", value) for value in WEIGHTS], value=2.0, label="Pull to the hand-written sentence (λ)")
        with gr.Row():
            sentence = gr.Textbox(
                TEMPLATE, label="Hand-written sentence", info="{} stands for the class name.", elem_id="promim_train_sentence"
            )
            lr = gr.Number(0.02, label="Learning rate", minimum=0.0001, maximum=1)
            seed = gr.Number(0, precision=0, minimum=0, label="Seed")
    controls = job_controls("promim_train", start_label="Start the training")
    board = training_board(elem_id="promim_train_board", colours=COLOURS, done=DONE)

    def config(path: str, names: str, backbone: str, *values: Any) -> dict[str, Any]:
        return {"recipe": RECIPE, **config_of(path, names, _settings(backbone, *values))}

    inputs = [mine.path, mine.names, scene.controls.backbone, arms, epochs, folds, ratio, weight, sentence, lr, seed]
    controls.wire(context, board, config=config, inputs=inputs, work=WORK, title=lambda made: f"Own pictures, {len(made['names'])} classes")
    board.ended(own_prompts(scene.desk), scene.controls.prompts, scene.controls.prompts, **QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=RECIPE), None, [board, controls.job], **QUICK)


def _settings(
    backbone: str,
    arms: list[str],
    epochs: float,
    folds: float,
    ratio: float,
    weight: float,
    sentence: str,
    lr: float | None,
    seed: float | None,
) -> dict[str, Any]:
    """What the recipe's configuration holds beside path and names."""
    return {
        "arms": [arm for arm in ARMS if arm in arms],
        "backbone": backbone,
        "epochs": int(epochs),
        "folds": int(folds),
        "ratio": float(ratio),
        "weight": float(weight),
        "template": sentence.strip() or TEMPLATE,
        "lr": float(lr or 0.02),
        "seed": int(seed or 0),
    }
