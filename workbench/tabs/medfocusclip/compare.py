"""Compare: the same picture and the same region, shown to CLIP in every way side by side; whose outlines they are can be changed.

The drawer asks about what Explore shows at that moment, whenever it comes into sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np

from models.medfocusclip.options import MODES, WARNING
from models.shared.data import phantoms
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import probability_bars
from workbench.parts.events import EVENT, Late, spoken
from workbench.parts.look_panels import look_panels
from workbench.tabs.medfocusclip import results
from workbench.tabs.medfocusclip.desk import DESKS, Desk, Work
from workbench.tabs.medfocusclip.names import FIRST_MODES
from workbench.tabs.medfocusclip.scan import Scan

WHOSE = {
    "marked": "Those counted in on the Explore drawer",
    "truth": "The true outlines (phantoms only)",
    "none": "None: nothing to point at",
}
SETS = {"four": "The paper's comparison and guided attention", "all": "All nine ways"}
NO_TRUTH = "True outlines are known for phantoms only; choose one of them as the picture, or compare with your own segments."


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The picture of the Explore drawer, shown to CLIP in several ways", container=False)
    with gr.Row():
        whose = gr.Radio(
            [(label, name) for name, label in WHOSE.items()], value="marked", label="Whose outlines", elem_id="medfocusclip_whose"
        )
        modes = gr.Radio([(label, name) for name, label in SETS.items()], value="four", label="Ways compared", elem_id="medfocusclip_set")
    looks = look_panels(elem_id="medfocusclip_compare_look", asks=True)
    bars, table = probability_bars(elem_id="medfocusclip_compare_bars"), html.show("", elem_id="medfocusclip_compare_table")
    html.show(f"<p class='lb-hint'>{html.text(WARNING)}</p>")

    def ask(request: gr.Request, whose: str, modes: str, *values: Any) -> list[Any]:
        return compared(desk, request, whose, modes, values)

    for event in (looks.opened, whose.input, modes.input):
        event(ask, [whose, modes, *desk.inputs], [looks, bars, table], **EVENT)


def compared(desk: Desk, request: Any, whose: str, modes: str, values: Any) -> list[Any]:
    """Values for the panels, the bars and the table."""
    with spoken():
        try:
            work = desk.work(request, values)
        except Late:
            return [gr.skip()] * 3
        options = work.options(modes=tuple(MODES) if modes == "all" else FIRST_MODES)
        answer = work.rooms.classify(work.prepared, _segments(work, whose), options)
        return [gr.HTML(data=results.panels(answer, work.rooms)), gr.HTML(data=results.bars(answer)), results.changes(answer)]


def _segments(work: Work, whose: str) -> list[Any]:
    from models.medfocusclip.providers import OracleProvider

    if whose == "none":
        return []
    if whose == "truth":
        return OracleProvider(lesions(work.scan)).propose(work.scan.pixels)
    return work.segments


def lesions(made: Scan) -> Mapping[str, np.ndarray]:
    """A phantom's true outlines in the working plane, by name; ValueError with a sentence for any other picture."""
    key = made.picture.phantom
    if key is None:
        raise ValueError(NO_TRUTH)
    truth = phantoms.sample(key.family, key.seed, size=key.side_px)
    found = {f"lesion {number}": lesion.mask for number, lesion in enumerate(truth.lesions, 1)}
    return found or dict(truth.organ)
