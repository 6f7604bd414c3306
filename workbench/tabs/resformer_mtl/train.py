"""Train: on a visitor's own pictures with masks, beside the single-task twins, usable in Explore at once; and the room's own study as a job."""

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
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls
from workbench.tabs.resformer_mtl.desk import DESKS, OWN_NETWORKS
from workbench.tabs.resformer_mtl.names import COLOURS, SHORT, TASK_CHOICES
from workbench.zip_pictures import DECODES, WORK

PICTURES = (".png", ".jpg", ".jpeg", *DECODES)
EXAMPLE = assets_dir() / "examples" / "breast_phantoms_masks.zip"
GONE = "Your ZIP is no longer on this server, as uploads are deleted after a while; upload it again."
MISSING = "Upload a ZIP with pictures and masks first, or get the example below and upload that."
DONE = "Finished. In Explore, choose your training under “Trained on” to use it on any picture."
OWN_ARMS = ("full", "seg_only", "cls_only", "unet", "no_transformer", "no_dfe", "last_scale", "parallel")


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### Your own pictures with masks", container=False)
    _own(context, site)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _own(context: Context, site: gr.Blocks) -> None:
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    gr.Markdown(
        "Bring a ZIP with the folders **images** and **masks**, the same file names in both; class folders inside them (images/benign/…, masks/benign/…) make "
        "the classes. A mask is black outside and of one colour inside. **Take names, patient numbers and dates out before you upload it.** It stays on this "
        f"server in your workspace, is seen by nobody else and is deleted within {hours:.2g} hours.",
        container=False,
    )
    path = gr.State("")
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Choose your ZIP", file_types=[".zip"], elem_id="resformer_mtl_zip")
        gr.DownloadButton(
            "Get an example ZIP (phantoms)", value=EXAMPLE if EXAMPLE.is_file() else None, elem_id="resformer_mtl_zip_example"
        )
    facts = html.show("", elem_id="resformer_mtl_zip_facts")
    upload.upload(look, upload, [facts, path], **QUICK | {"concurrency_limit": 1})
    with gr.Row():
        arms = gr.CheckboxGroup(
            [(SHORT[arm], arm) for arm in OWN_ARMS],
            value=["full", "seg_only"],
            label="Networks to train, one after the other",
            elem_id="resformer_mtl_train_arms",
            scale=2,
        )
        steps = gr.Slider(20, 4000, value=200, step=20, label="Steps", info="More takes longer.", elem_id="resformer_mtl_train_steps")
        side = gr.Radio(
            [64, 128, 256],
            value=64,
            label="Side of the pictures, in pixels",
            info="Larger sees finer edges and takes longer.",
            elem_id="resformer_mtl_train_side",
        )
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=120)
    controls = job_controls("resformer_mtl_train", start_label="Start the training")
    board = training_board(elem_id="resformer_mtl_train_board", colours=COLOURS, done=DONE)

    def config(path: str, arms: list[str], steps: float, side: int, seed: float | None) -> dict[str, Any]:
        if not path:
            raise ValueError(MISSING)
        if not Path(path).is_file():
            raise ValueError(GONE)
        if not arms:
            raise ValueError("Choose at least one network to train.")
        chosen = [arm for arm in OWN_ARMS if arm in arms]
        return {"recipe": OWN_NETWORKS.recipe, "path": path, "arms": chosen, "steps": int(steps), "side": int(side), "seed": int(seed or 0)}

    controls.wire(
        context,
        board,
        config=config,
        inputs=[path, arms, steps, side, seed],
        work=WORK,
        title=lambda made: f"Own pictures, {len(made['arms'])} networks",
    )
    network = DESKS.of(site).network

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=[*TASK_CHOICES, *OWN_NETWORKS.choices(context, request)], value=chosen)

    board.ended(networks, network, network, **QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=OWN_NETWORKS.recipe), None, [board, controls.job], **QUICK)


def look(path: str | None) -> tuple[str, str]:
    """What stands in an uploaded ZIP: (markup, path or '')."""
    try:
        if path is None or not Path(path).is_file():  # a folder of the server is never looked into
            raise DataDamaged(GONE)
        with members(Path(path), Limits()) as files:
            count = sum(one.name.lower().endswith(PICTURES) for one in files)
        if count < 12:
            raise DataDamaged(
                f"{count} pictures and masks were found; a training needs at least 6 pictures with something drawn on their masks."
            )
    except DataDamaged as refused:
        return (
            f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>",
            "",
        )
    return (
        f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(Path(path).name)}:</span> {count} pictures and masks. They are matched when the training starts.</p>",
        path,
    )
