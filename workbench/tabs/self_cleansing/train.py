"""Train: on a visitor's own pictures with masks whose labels may be wrong, with a list to re-check and proposed corrections; and the room's study as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from models.shared.data import DataDamaged
from models.shared.data.archives import Limits, members
from models.shared.method import Method
from models.shared.paths import assets_dir
from workbench.context import Context
from workbench.parts import html
from workbench.parts.events import QUICK
from workbench.parts.noise_board import noise_board
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_panel import job_controls
from workbench.tabs.self_cleansing.desk import DESKS, OWN_NETWORKS, choices
from workbench.zip_pictures import DECODES, WORK

PICTURES = (".png", ".jpg", ".jpeg", *DECODES)
EXAMPLE = assets_dir() / "examples" / "liver_slices_noisy_masks.zip"
GONE = "Your ZIP is no longer on this server, as uploads are deleted after a while; upload it again."
MISSING = "Upload a ZIP with pictures and masks first, or get the example below and upload that."
DONE = (
    "Finished. The list says which labels to look at first. Under “Take it along” are the whole list, the proposed masks and the weights; in Explore, choose "
    "your training under “Trained on” to use it on any picture."
)


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### Your own pictures with masks: which outlines should be looked at again?", container=False)
    _own(method, context, site)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _own(method: Method, context: Context, site: gr.Blocks) -> None:
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    gr.Markdown(
        "Bring a ZIP with the folders **images** and **masks**, the same file names in both; a mask is black outside and of one colour inside. At least twelve "
        "pictures with a mask, better a hundred. **Take names, patient numbers and dates out before you upload it.** It stays on this server in your workspace, "
        f"is seen by nobody else and is deleted within {hours:.2g} hours. The example has 60 made-up slices, and errors were planted into 18 of their masks.",
        container=False,
    )
    path = gr.State("")
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Choose your ZIP", file_types=[".zip"], elem_id="self_cleansing_zip")
        gr.DownloadButton(
            "Get an example ZIP (made-up pictures)", value=EXAMPLE if EXAMPLE.is_file() else None, elem_id="self_cleansing_zip_example"
        )
    facts = html.show("", elem_id="self_cleansing_zip_facts")
    upload.upload(look, upload, [facts, path], **QUICK | {"concurrency_limit": 1})
    with gr.Row():
        epochs = gr.Slider(4, 400, value=40, step=1, label="Epochs", info="More takes longer.", elem_id="self_cleansing_train_epochs")
        warmup = gr.Slider(
            1, 200, value=15, step=1, label="Warm-up epochs", info="On the labels as they are.", elem_id="self_cleansing_train_warmup"
        )
        kappa = gr.Slider(
            0.5, 0.99, value=0.8, step=0.01, label="A new label must be surer than this (κ)", elem_id="self_cleansing_train_kappa"
        )
        side = gr.Radio(
            [64, 128, 256],
            value=64,
            label="Side of the pictures, in pixels",
            info="Larger sees finer edges and takes longer.",
            elem_id="self_cleansing_train_side",
        )
        flips = gr.Checkbox(
            False,
            label="Pictures have no upright",
            info="Then they are mirrored and turned in training.",
            elem_id="self_cleansing_train_flips",
        )
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=110)
    controls = job_controls("self_cleansing_train", start_label="Start the training")
    board = noise_board(
        elem_id="self_cleansing_train_board", done=DONE, looks=False, empty="Nothing yet: choose a ZIP and press the start button."
    )

    def config(path: str, epochs: float, warmup: float, kappa: float, side: int, flips: bool, seed: float | None) -> dict[str, Any]:
        from models.self_cleansing.own_data import read_config

        if not path:
            raise ValueError(MISSING)
        if not Path(path).is_file():
            raise ValueError(GONE)
        made = {
            "path": path,
            "epochs": int(epochs),
            "warmup": int(warmup),
            "kappa": float(kappa),
            "side": int(side),
            "flips": bool(flips),
            "seed": int(seed or 0),
        }
        read_config(made)
        return {"recipe": OWN_NETWORKS.recipe} | made

    controls.wire(
        context,
        board,
        config=config,
        inputs=[path, epochs, warmup, kappa, side, flips, seed],
        work=WORK,
        title=lambda made: f"Own pictures, {made['epochs']} epochs",
    )
    network = DESKS.of(site).network

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=choices(context, method, request), value=chosen)

    board.ended(networks, network, network, **QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=OWN_NETWORKS.recipe), None, [board, controls.job], **QUICK)


def look(path: str | None) -> tuple[str, str]:
    """What stands in an uploaded ZIP: (markup, path or '')."""
    try:
        if path is None or not Path(path).is_file():  # a folder of the server is never looked into
            raise DataDamaged(GONE)
        with members(Path(path), Limits()) as files:
            count = sum(one.name.lower().endswith(PICTURES) for one in files)
        if count < 24:
            raise DataDamaged(f"{count} pictures and masks were found; a training needs at least 12 pictures with a mask each.")
    except DataDamaged as refused:
        return (
            f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>",
            "",
        )
    return (
        f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(Path(path).name)}:</span> {count} pictures and masks. They are matched when the training starts.</p>",
        path,
    )
