"""Train, the part for pictures of one's own: a ZIP with one folder a class, what is in it, what its classes are called.

The path that a training reads stands in the page's state on the server. It comes from the upload's event alone, where Gradio refuses every
file that was not uploaded; a training is never handed a path by the browser. Nothing is unpacked here: only names are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from models.shared.data import DataDamaged
from models.shared.data.archives import Limits, members
from models.shared.paths import assets_dir
from workbench.context import Context
from workbench.parts import html
from workbench.tabs.promim.controls import QUICK
from workbench.zip_pictures import DECODES

PICTURES = (".png", ".jpg", ".jpeg", *DECODES)
EXAMPLE = assets_dir() / "examples" / "brain_phantoms.zip"
GONE = "Your ZIP is no longer on this server, as uploads are deleted after a while; upload it again."
MISSING = "Upload a ZIP with one folder for each class first, or get the example below and upload that."


@dataclass(frozen=True)
class OwnZip:
    """The controls by name. `path` is a State: where the upload lies, empty while there is none that can be used."""

    upload: gr.UploadButton
    facts: gr.HTML
    names: gr.Textbox
    path: gr.State

    def wire(self) -> None:
        """A good upload brings its classes' names; a bad one is answered with a sentence, and everything else stays."""
        self.upload.upload(look, self.upload, [self.facts, self.path, self.names], concurrency_limit=1, **QUICK)


def own_zip(context: Context) -> OwnZip:
    """Lay the part out."""
    hours = 2 * context.settings.delete_cache_s / 3600  # looked at once in that time, so a file may reach twice its age
    gr.Markdown(
        "Bring a ZIP with **one folder for each class**, 4 to 32 pictures in each (PNG, JPEG, TIFF or DICOM; further ones are left out). "
        "**Take names, patient numbers and dates out before you upload it.** It stays on this server in your workspace, is seen by nobody else and "
        f"is deleted within {hours:.2g} hours; what was learned from it is kept as long as your other runs.",
        container=False,
    )
    with gr.Row(elem_classes="lb-controls"):
        # a button and no drop area: what Gradio's drop area shows and what it tells a screen reader do not agree
        upload = gr.UploadButton("Choose your ZIP", file_types=[".zip"], elem_id="promim_zip")
        gr.DownloadButton("Get an example ZIP (phantoms)", value=EXAMPLE if EXAMPLE.is_file() else None, elem_id="promim_zip_example")
    facts = html.show("", elem_id="promim_zip_facts")
    names = gr.Textbox(
        "",
        label="What the classes are called",
        info="One line a folder: its name = the words that describe the class. CLIP reads the words, so plain words of the field serve best.",
        lines=4,
        visible=False,
        interactive=True,
        elem_id="promim_zip_names",
    )
    return OwnZip(upload, facts, names, gr.State(""))


def look(path: str | None) -> tuple[str, str, gr.Textbox]:
    """What stands in an uploaded ZIP: (markup, path or '', the names' field)."""
    try:
        counts = folders_in(Path(path) if path else None)
    except DataDamaged as refused:
        markup = f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not taken:</span> {html.text(str(refused))} All other settings are as they were.</p>"
        return markup, "", gr.Textbox(value="", visible=False)
    listed = ", ".join(f"{html.text(name)} ({count})" for name, count in counts.items())
    markup = f"<p class='lb-hint' role='status'><span class='lb-good'>{html.text(Path(path).name)}:</span> {sum(counts.values())} pictures in {len(counts)} folders: {listed}.</p>"
    lines = "\n".join(f"{name} = {in_words(name)}" for name in counts)
    return markup, path, gr.Textbox(value=lines, visible=True, lines=min(12, len(counts)))


def folders_in(path: Path | None) -> dict[str, int]:
    """Folder → number of pictures, from the ZIP's table of contents alone. DataDamaged, with a sentence, for what cannot be trained on."""
    if path is None or not path.is_file():  # a folder of the server is never looked into
        raise DataDamaged(GONE)
    with members(path, Limits()) as files:
        places = [PurePosixPath(one.name) for one in files if one.name.lower().endswith(PICTURES)]
    counts: dict[str, int] = {}
    for place in places:
        counts[place.parent.name] = counts.get(place.parent.name, 0) + 1
    counts.pop("", None)
    if len(counts) < 2:
        raise DataDamaged(
            f"Pictures were found in {len(counts)} folders; at least 2 are needed. Make one folder for each class and pack the folders together."
        )
    return dict(sorted(counts.items()))


def in_words(folder: str) -> str:
    """A folder's name as words."""
    return " ".join(folder.replace("_", " ").replace("-", " ").split())


def names_of(written: str) -> dict[str, str]:
    """Folder → words from the field's lines; ValueError with a sentence for a line that cannot be read."""
    found = {}
    for line in filter(None, (line.strip() for line in written.splitlines())):
        folder, sign, words = (part.strip() for part in line.partition("="))
        if not (folder and sign and words):
            raise ValueError(f"The line “{line[:60]}” does not read: folder = words. Mend it, or upload the ZIP again.")
        found[folder] = words
    return found


def config_of(path: str, written: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The training's configuration; ValueError with a sentence where something is missing."""
    if not path:
        raise ValueError(MISSING)
    if not Path(path).is_file():
        raise ValueError(GONE)
    if not settings["arms"]:
        raise ValueError("Choose at least one method to train.")
    return {"path": path, "names": names_of(written), **settings}
