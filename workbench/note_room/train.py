"""Train: on a visitor's own pictures with notes, usable in Explore at once; and the room's own study as a job."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr

from models.shared.data import DataDamaged
from models.shared.prompt_interaction.plan import OWN
from workbench import exports
from workbench.context import Context
from workbench.note_room.explore import SLOW
from workbench.note_room.room import NoteRoom
from workbench.parts import html
from workbench.parts.events import QUICK
from workbench.parts.preset_panel import preset_panel
from workbench.parts.training_board import training_board
from workbench.parts.training_panel import job_controls
from workbench.zip_pictures import WORK

GONE = "Your ZIP is no longer on this server, as uploads are deleted after a while; upload it again."
MISSING = "Upload a ZIP with pictures and a table of notes first, or get the example below and upload that."
DONE = "Finished. In Explore, choose your training under “Network” to use it on any picture."
EXAMPLE_PICTURES = 24


def train(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### Your own pictures with notes", container=False)
    _own(room, context, site)
    gr.Markdown("#### The study behind the Evidence drawer, run here", container=False)
    preset_panel(room.method, context, site)


def _own(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    id = room.id
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    gr.Markdown(
        "Bring a ZIP with pictures (PNG, JPEG, TIFF or DICOM) and **one CSV table** with the columns **picture, note, verdict**: a file's name, what is said of it, "
        "and one of 2 to 6 verdicts of your own. A picture may have several notes. **Take names, patient numbers and dates out of pictures and notes before you "
        f"upload them.** The ZIP stays on this server in your workspace, is seen by nobody else and is deleted within {hours:.2g} hours.",
        container=False,
    )
    path = gr.State("")
    with gr.Row(elem_classes="lb-controls"):
        upload = gr.UploadButton("Choose your ZIP", file_types=[".zip"], elem_id=f"{id}_zip")
        make = gr.Button("Make an example ZIP (phantoms)", elem_id=f"{id}_zip_make")
        example = gr.DownloadButton("Get the example ZIP", visible=False, elem_id=f"{id}_zip_example")
    facts = html.show("", elem_id=f"{id}_zip_facts")
    upload.upload(look, upload, [facts, path], **QUICK | {"concurrency_limit": 1})
    make.click(lambda: gr.DownloadButton(value=exports.save("notes-phantoms.zip", example_zip()), visible=True), None, example, **SLOW)
    with gr.Row():
        arm = gr.Dropdown(
            [(room.short(one), one) for one in room.arms],
            value=OWN,
            label="Network",
            info="The whole method, or one part changed.",
            elem_id=f"{id}_train_arm",
        )
        steps = gr.Slider(20, 2000, value=200, step=20, label="Steps", info="More takes longer.", elem_id=f"{id}_train_steps")
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=120)
    controls = job_controls(f"{id}_train", start_label="Start the training")
    board = training_board(elem_id=f"{id}_train_board", done=DONE)

    def config(path: str, arm: str, steps: float, seed: float | None) -> dict[str, Any]:
        if not path:
            raise ValueError(MISSING)
        if not Path(path).is_file():
            raise ValueError(GONE)
        return {"recipe": room.own.recipe, "path": path, "arms": [arm], "steps": int(steps), "seed": int(seed or 0)}

    controls.wire(
        context,
        board,
        config=config,
        inputs=[path, arm, steps, seed],
        work=WORK,
        title=lambda made: f"Own notes, {room.short(made['arms'][0])}",
    )
    network = room.desks.of(site).network

    def networks(request: gr.Request, chosen: str) -> gr.Dropdown:
        return gr.Dropdown(choices=[*room.choices(), *room.own.choices(context, request)], value=chosen)

    board.ended(networks, network, network, **QUICK)
    site.load(networks, network, network, **QUICK)
    site.load(controls.find_again(context, board, WORK, recipe=room.own.recipe), None, [board, controls.job], **QUICK)


def look(path: str | None) -> tuple[str, str]:
    """What stands in an uploaded ZIP: (markup, path or '')."""
    from models.shared.data.archives import Limits, members
    from models.shared.prompt_interaction.own_table import DECODES, PICTURES, picture_files, read_table

    try:
        if path is None or not Path(path).is_file():  # a folder of the server is never looked into
            raise DataDamaged(GONE)
        with members(Path(path), Limits()) as files:
            rows = read_table(files)
            pictures = picture_files(files, [picture for picture, _, _ in rows], (*PICTURES, *DECODES))
    except DataDamaged as refused:
        return (
            f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>",
            "",
        )
    verdicts = sorted({verdict for _, _, verdict in rows})
    told = f"{len(pictures)} pictures, {len(rows)} notes, the verdicts {html.text(', '.join(verdicts))}."
    return f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(Path(path).name)}:</span> {told}</p>", path


def example_zip() -> bytes:
    """Phantoms with one lesion, three notes each, as a ZIP of the form that is asked for."""
    import numpy as np

    from models.shared.data import phantoms
    from models.shared.data.phantoms.notes import VERDICTS, note
    from models.shared.data.pictures import encode_png

    stream, lines, made = io.BytesIO(), [], 0
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for seed in phantoms.split_seeds("validation", 400):
            if made == EXAMPLE_PICTURES:
                break
            drawn = phantoms.sample("brain_mr", seed, size=128)
            if len(drawn.lesions) != 1:
                continue
            random, name = np.random.default_rng(seed), f"pictures/{made:02d}.png"
            archive.writestr(name, encode_png(drawn.image))
            lines += [[name, note(drawn, verdict, random).text, verdict] for verdict in VERDICTS]
            made += 1
        archive.writestr("notes.csv", exports.csv_bytes(("picture", "note", "verdict"), lines))
    return stream.getvalue()
