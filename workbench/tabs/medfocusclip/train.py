"""Train: the same few-shot training in several ways side by side, with live curves; and the studies behind the Evidence drawer as a job."""

from __future__ import annotations

import gradio as gr

from models.medfocusclip.study_plan import ARMS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls
from workbench.tabs.medfocusclip.desk import DESKS
from workbench.tabs.medfocusclip.names import WAYS_COLOUR
from workbench.tabs.medfocusclip.own import WORK, ways_of
from workbench.tabs.medfocusclip.own import choices as choices_of
from workbench.tabs.medfocusclip.settings import answerers

DONE = "Finished. In Explore, choose “Your own training” under “Who answers”."
FIRST_WAYS = ("plain", "attention")
_QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### Few scans, and a sign in the background that gives the answer away", container=False)
    gr.Markdown(
        "Liver-CT-like phantoms: in the training pictures a small sign at the border goes along with the class, in the test pictures it does not. "
        "Train the same network in several ways, on the same pictures, and see which of them fall for the sign.",
        container=False,
    )
    _ways(method, context, site)
    gr.Markdown("#### The studies behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _ways(method: Method, context: Context, site: gr.Blocks) -> None:
    with gr.Row():
        choices = [(arm.label, arm.id) for arm in ARMS.values()]
        arms = gr.CheckboxGroup(
            choices, value=list(FIRST_WAYS), label="Ways to train, one after the other", elem_id="medfocusclip_ways", scale=2
        )
        with gr.Column(scale=1, min_width=260):
            seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="Order of the pictures.", elem_id="medfocusclip_ways_seed")
    with gr.Row():
        pictures = gr.Slider(
            20, 400, value=80, step=20, label="Training phantoms", info="Few: the sign is tempting.", elem_id="medfocusclip_ways_pictures"
        )
        shortcut = gr.Slider(
            0,
            1,
            value=0.95,
            step=0.05,
            label="How often the sign fits",
            info="0: there is no sign to fall for.",
            elem_id="medfocusclip_ways_shortcut",
        )
        epochs = gr.Slider(
            1, 40, value=10, step=1, label="Rounds through the pictures", info="More takes longer.", elem_id="medfocusclip_ways_epochs"
        )
    controls = job_controls("medfocusclip_train", start_label="Start the training")
    board = training_board(elem_id="medfocusclip_train_board", colours=WAYS_COLOUR, done=DONE)
    controls.wire(
        context,
        board,
        config=ways_of,
        inputs=[arms, pictures, shortcut, epochs, seed],
        work=WORK,
        title=lambda made: f"MedFocusCLIP, {len(made['arms'])} ways on {made['pictures']} phantoms",
    )
    head = DESKS.of(site).knobs.head

    def answering(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=answerers(method, choices_of(context, request)), value=chosen)

    for event in (board.ended, site.load):
        event(answering, head, head, **_QUICK)
    site.load(controls.find_again(context, board, WORK), None, [board, controls.job], **_QUICK)
