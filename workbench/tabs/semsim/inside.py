"""One pixel of the slice: its row of the affinity, what the labelled slices say of it, and the board of their prototypes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.parts import html
from workbench.parts.charts import probability_bars
from workbench.parts.events import EVENT, spoken
from workbench.parts.pixel_probe import pixel_probe, read_place, refused, row_of
from workbench.tabs.semsim import results
from workbench.tabs.semsim.desk import Desk, Work
from workbench.working_scan import Scan


@dataclass(frozen=True)
class Probe:
    """The parts that a place on the slice draws."""

    probe: gr.HTML
    bars: gr.HTML
    board: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """In the order of `probed`."""
        return [self.probe, self.bars, self.board]


def probe_part(desk: Desk, opening: Scan) -> Probe:
    """Lay the part out and wire the pointing."""
    gr.Markdown("#### Point at a pixel: whom does it listen to?", container=False)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            probe = pixel_probe(elem_id="semsim_probe", label="Slice, to point at a pixel", picture=opening.for_canvas())
        with gr.Column(scale=2, min_width=320):
            bars = probability_bars(elem_id="semsim_pixel_bars")
    gr.Markdown("#### Prototype board: where the labelled slices have an example of each tissue", container=False)
    parts = Probe(probe, bars, html.show("", elem_id="semsim_board"))

    def point(request: gr.Request, at: Any, *values: Any) -> list[Any]:
        with spoken():
            return probed(desk.work(request, values), at)

    probe.chosen(point, [probe, *desk.inputs], parts.outputs, **EVENT)
    return parts


def probed(work: Work, at: Any) -> list[Any]:
    """Values for the probe's map, the bars and the board. What was pointed at on another picture counts as the middle of this one. ValueErrors with a sentence."""
    place = read_place(at)
    predictor, (height, width) = work.predictor, work.scan.size
    if not predictor.looks_inside:
        empty = gr.HTML(data={"title": "What the labelled slices say of this pixel", "empty": results.NO_FEATURES})
        return [gr.HTML(answer=refused(place, results.NO_FEATURES)), empty, results.board(work, None)]
    here = place if place is not None and place.picture == work.scan.id and place.x < width and place.y < height else None
    at_pixel = (here.y, here.x) if here else (height // 2, width // 2)
    said = predictor.similarity(work.prepared, at_pixel, work.options)
    bars = gr.HTML(data=results.pixel_bars(said, predictor.classes, work.options.t_cr))
    drawing = results.board(work, said.cell)
    if here is None:
        return [gr.skip(), bars, drawing]
    row = predictor.affinity(work.prepared, at_pixel, work.options.t_aff)
    note = results.row_words(row, work.options.t_aff, predictor.classes)
    return [gr.HTML(answer=row_of(here, row.row, pixel=row.pixel, note=note, cells=work.options.cells)), bars, drawing]
