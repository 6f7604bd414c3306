"""Train: a network for the genes of a section of one's own, usable in Explore at once; and the room's own study as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from models.m2ost.arms import ARMS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.events import QUICK
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls
from workbench.tabs.m2ost.desk import DESKS, OWN_WORK, Desk
from workbench.tabs.m2ost.names import TABLES

DONE = "Finished. In Explore, choose your training under “Network” to lay its genes over any slide."
MISSING = "Upload the table of your section first."
GONE = "Your table is no longer on this server, as uploads are deleted after a while; upload it again."


def train(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### A network for the genes of your own section", container=False)
    _own(context, site, desk)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(method, context, site)


def _own(context: Context, site: gr.Blocks, desk: Desk) -> None:
    hours = 2 * context.settings.delete_cache_s / 3600
    html.show(
        f"<p class='lb-hint'>Open the section's picture as the slide in <b>Explore</b> (its full picture, as the spots' places refer to it), then bring its table: {html.text(TABLES)}. "
        f"It stays on this server, is seen by nobody else and is deleted within {hours:.2g} hours. Raw counts are needed; the genes are chosen by the paper's rule.</p>"
    )
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Choose your table", file_types=[".h5ad", ".zip"], elem_id="m2ost_table")
        facts = html.show("", elem_id="m2ost_table_facts")
    path = gr.State(None)
    with gr.Row():
        arm = gr.Dropdown([(one.title, one.id) for one in ARMS.values()], value="full", label="Network", elem_id="m2ost_own_arm", scale=2)
        genes = gr.Slider(
            10,
            250,
            value=100,
            step=10,
            label="Genes",
            info="Drawn from the most variable ones; the paper takes 250.",
            elem_id="m2ost_own_genes",
        )
        epochs = gr.Slider(5, 80, value=30, step=5, label="Rounds through the spots", info="More takes longer.", elem_id="m2ost_own_epochs")
        start = gr.Radio(
            [("from scratch", "scratch"), ("from the shipped network", "shipped")],
            value="scratch",
            label="Begin",
            elem_id="m2ost_own_start",
        )
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=90)
    controls = job_controls("m2ost_own", start_label="Start the training")
    board = training_board(elem_id="m2ost_own_board", done=DONE)

    def look(file: str | None) -> tuple[str, dict[str, Any] | None]:
        from models.shared.data.spatial import read_upload

        try:
            table = read_upload(Path(file or ""))
        except ValueError as refused:
            return (
                f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>",
                None,
            )
        scale = f", {table.mpp:.3g} µm a pixel by the table" if table.mpp else ""
        notes = " ".join(table.notes)
        return (
            f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(Path(file).name)}:</span> {table.spots:,} spots, {len(table.genes):,} genes{scale}. {html.text(notes)}</p>",
            {"path": file, "mpp": table.mpp},
        )

    upload.upload(look, upload, [facts, path], concurrency_limit=1, show_progress="minimal", api_visibility="private")

    def config(
        request: gr.Request, table: str, slide: str, arm: str, genes: float, epochs: float, start: str, seed: float | None
    ) -> dict[str, Any]:
        if not table:
            raise ValueError(MISSING)
        if not Path(table["path"]).is_file():
            raise ValueError(GONE)
        if not slide:
            raise ValueError("Open the section's picture as the slide in Explore first.")
        found = context.slides.get(request, slide)
        if not found.mpp and table["mpp"]:
            found = context.slides.set_mpp(request, slide, float(table["mpp"]))  # the array's own pitch tells what the picture does not
        return {
            "table": table["path"], "picture": str(context.slides.path(request, slide)), "mpp": found.mpp, "arm": arm, "genes": int(genes), "epochs": int(epochs), "start": start,
            "seed": int(seed or 0), "title": found.title.removeprefix("Yours: "),
        }  # fmt: skip

    inputs = [path, desk.slide, arm, genes, epochs, start, seed]
    controls.wire(
        context,
        board,
        config=config,
        inputs=inputs,
        work=OWN_WORK,
        title=lambda made: f"{made['title']}, {made['genes']} genes",
        with_request=True,
    )

    def mine(request: gr.Request, chosen: str, slide: str) -> list[Any]:
        """The list of networks, and the slide once more: its scale may have come with the table."""
        try:
            found = gr.HTML(slide=context.slides.get(request, slide).as_dict(), said="")
        except ValueError:
            found = gr.skip()
        return [gr.Dropdown(choices=desk.networks(request), value=chosen), found]

    board.ended(mine, [desk.network, desk.slide], [desk.network, desk.viewer], **QUICK)
    site.load(controls.find_again(context, board, OWN_WORK), None, [board, controls.job], **QUICK)
