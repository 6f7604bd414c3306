"""Train, the part for a table of one's own: upload, what is in it, which column is the label.

The path that a training reads stands in the page's state on the server. It comes from the upload's event alone, where Gradio refuses every
file that was not uploaded; a training is never handed a path by the browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from models.shared.data import DataDamaged, table_example
from models.shared.data.table import MAX_CLASSES, MIN_PER_CLASS, inspect
from models.sofim.tasks import OWN_STEPS, OWN_TABLE, TASKS
from workbench.context import Context
from workbench.parts import html

TITLE = "Your own table"
ABOUT = "A table that you bring, through one hidden layer: upload it below and choose the column to learn."
GONE = "Your table is no longer on this server, as uploads are deleted after a while; upload it again."
QUICK = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class OwnTable:
    """The controls by name. `path` is a State: where the upload lies, empty while there is none that can be used."""

    panel: gr.Accordion
    upload: gr.UploadButton
    facts: gr.HTML
    label: gr.Dropdown
    path: gr.State

    def wire(self, task: gr.Dropdown) -> None:
        """A good upload becomes the chosen task; a bad one is answered with a sentence and changes no other setting."""
        self.upload.upload(look, self.upload, [self.facts, self.path, self.label, task], concurrency_limit=1, **QUICK)


def own_table(context: Context) -> OwnTable:
    """Lay the part out, folded in until it is asked for."""
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    with gr.Accordion("Bring your own table", open=False, elem_id="sofim_own") as panel:
        gr.Markdown(
            "A CSV or TSV file with the columns' names in its first line, one case in each row and one column that holds the answer to learn. "
            "**Take names, patient numbers, dates of birth and addresses out before you upload it.** "
            "The table stays on this server in your workspace, is seen by nobody else and is deleted after a while "
            f"(within {hours:.2g} hours); what you trained on it is kept as long as your other runs.",
            container=False,
        )
        with gr.Row(elem_classes="lb-controls"):
            # a button and no drop area: what Gradio's drop area shows and what it tells a screen reader do not agree
            upload = gr.UploadButton("Choose your table (CSV, TSV)", file_types=[".csv", ".tsv", ".txt"], elem_id="sofim_own_file")
            gr.DownloadButton("Get an example table", value=table_example.path(), elem_id="sofim_own_example")
        facts = html.show("", elem_id="sofim_own_facts")
        hint = f"What the network is to answer; offered are columns with 2 to {MAX_CLASSES} different values, {MIN_PER_CLASS} rows or more of each."
        label = gr.Dropdown([], label="Column to learn (label)", info=hint, visible=False, interactive=True, elem_id="sofim_own_label")
    return OwnTable(panel, upload, facts, label, gr.State(""))


def look(path: str | None) -> tuple[str, str, gr.Dropdown, Any]:
    """What stands in an uploaded table: (markup, path or '', the label's choices, the task's new value)."""
    try:
        facts = inspect(path or "")
    except DataDamaged as refused:
        markup = f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>"
        return markup, "", gr.Dropdown(choices=[], value=None, visible=False), gr.skip()
    name = Path(path).name
    notes = facts.notes or ("No column has to be left out.",)
    markup = (
        f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(name)}:</span> {facts.rows:,} rows, {facts.columns} columns. "
        "60 % of the rows are for training, 20 % for checking, 20 % for the test. Choose the column to learn, then start the training below.</p>"
        + "".join(f"<p class='lb-hint'>{html.text(note)}</p>" for note in notes)
    )
    return (
        markup,
        path,
        gr.Dropdown(choices=list(facts.label_candidates), value=facts.suggested_label, visible=True),
        OWN_TABLE,
    )


def part_of_config(task: str, path: str, label: str | None) -> dict[str, str]:
    """What a training's configuration needs beside the task's name; ValueError with a sentence where something is missing."""
    if task != OWN_TABLE:
        return {}
    if not path:
        raise ValueError("Upload your table first (Bring your own table), or choose another task.")
    if not label:
        raise ValueError("Choose which column of your table is to be learnt.")
    if not Path(path).is_file():
        raise ValueError(GONE)
    return {"table": path, "label": label}


def title_of(task: str) -> str:
    """The task's name, also for a table of one's own."""
    return TITLE if task == OWN_TABLE else TASKS[task].title


def shown(task: str) -> tuple[gr.Dropdown, int, Any]:
    """What a newly chosen task brings: its description, its steps, and the upload unfolded where it is needed."""
    own = task == OWN_TABLE
    about, steps = (ABOUT, OWN_STEPS) if own else (TASKS[task].about, TASKS[task].steps)
    return gr.Dropdown(info=about), steps, gr.Accordion(open=True) if own else gr.skip()
