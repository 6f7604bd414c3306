"""Train: on a visitor's own pictures, of which few keep their masks, beside FixMatch and the labels alone; usable in Explore at once; and the study as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from models.semsim.plan import FIXMATCH, OWN, SUPERVISED
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
from workbench.tabs.semsim.desk import DESKS, OWN_NETWORKS
from workbench.tabs.semsim.names import COLOURS, SHORT, TASK_CHOICES
from workbench.zip_pictures import DECODES, WORK

PICTURES = (".png", ".jpg", ".jpeg", *DECODES)
EXAMPLE = assets_dir() / "examples" / "breast_phantoms_masks.zip"
GONE = "Your ZIP is no longer on this server, as uploads are deleted after a while; upload it again."
MISSING = "Upload a ZIP with pictures and masks first, or get the example below and upload that."
DONE = "Finished. In Explore, choose your training under “Trained on” to use it on any picture."
FEWEST = 12


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### Your own pictures: how far do a few masks go?", container=False)
    _own(context, site)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _own(context: Context, site: gr.Blocks) -> None:
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    gr.Markdown(
        "Bring a ZIP with the folders **images** and **masks**, the same file names in both; pictures without a mask teach too. A mask is black outside and of "
        "one colour inside. The slider says how many of the masks the training may read; the others are hidden from it. **Take names, patient numbers and "
        f"dates out before you upload it.** It stays on this server in your workspace, is seen by nobody else and is deleted within {hours:.2g} hours.",
        container=False,
    )
    path = gr.State("")
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Choose your ZIP", file_types=[".zip"], elem_id="semsim_zip")
        gr.DownloadButton("Get an example ZIP (phantoms)", value=EXAMPLE if EXAMPLE.is_file() else None, elem_id="semsim_zip_example")
    facts = html.show("", elem_id="semsim_zip_facts")
    upload.upload(look, upload, [facts, path], **QUICK | {"concurrency_limit": 1})
    with gr.Row():
        share = gr.Slider(
            1, 100, value=10, step=1, label="Masks that may be read, in %", info="At least one is.", elem_id="semsim_train_share"
        )
        steps = gr.Slider(20, 4000, value=200, step=20, label="Steps", info="More takes longer.", elem_id="semsim_train_steps")
        side = gr.Radio([64, 96, 128], value=64, label="Side of the pictures, in pixels", elem_id="semsim_train_side")
    with gr.Row():
        arms = gr.CheckboxGroup(
            [(SHORT[arm], arm) for arm in SHORT],
            value=[SUPERVISED, FIXMATCH, OWN],
            label="Networks to train, one after the other",
            elem_id="semsim_train_arms",
            scale=3,
        )
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="Other masks are read.", min_width=120)
    controls = job_controls("semsim_train", start_label="Start the training")
    board = training_board(elem_id="semsim_train_board", colours=COLOURS, done=DONE)
    controls.wire(
        context,
        board,
        config=config,
        inputs=[path, arms, share, steps, side, seed],
        work=WORK,
        title=lambda made: f"Own pictures, {100 * made['share']:.0f} % of the masks",
    )
    network = DESKS.of(site).network

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=[*TASK_CHOICES, *OWN_NETWORKS.choices(context, request)], value=chosen)

    board.ended(networks, network, network, **QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=OWN_NETWORKS.recipe), None, [board, controls.job], **QUICK)


def config(path: str, arms: list[str], share: float, steps: float, side: int, seed: float | None) -> dict[str, Any]:
    """The job's configuration; ValueError with a sentence for what is missing."""
    if not path:
        raise ValueError(MISSING)
    if not Path(path).is_file():
        raise ValueError(GONE)
    if not arms:
        raise ValueError("Choose at least one network to train.")
    chosen = [arm for arm in (SUPERVISED, FIXMATCH, OWN, *SHORT) if arm in arms]
    return {
        "recipe": OWN_NETWORKS.recipe,
        "path": path,
        "arms": list(dict.fromkeys(chosen)),
        "share": share / 100,
        "steps": int(steps),
        "side": int(side),
        "seed": int(seed or 0),
    }


def look(path: str | None) -> tuple[str, str]:
    """What stands in an uploaded ZIP: (markup, path or '')."""
    try:
        if path is None or not Path(path).is_file():  # a folder of the server is never looked into
            raise DataDamaged(GONE)
        with members(Path(path), Limits()) as files:
            count = sum(one.name.lower().endswith(PICTURES) for one in files)
        if count < FEWEST:
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
