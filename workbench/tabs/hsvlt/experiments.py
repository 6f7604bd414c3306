"""Explore, experiments on one finding: other words for it, pieces of the picture taken away by hand and place by place, the finding grown and shrunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.parts import charts, html
from workbench.parts.events import EVENT, OPENING, QUICK, spoken
from workbench.parts.image_input import ImageInput
from workbench.parts.noise_board import curves
from workbench.parts.pixel_probe import Place, pixel_probe, read_place, row_of
from workbench.pictures import Shown
from workbench.tabs.hsvlt import results
from workbench.tabs.hsvlt.desk import Desk, Work
from workbench.working_scan import Scan, scan

SLOW = EVENT | {"show_progress": "minimal"}
PIECES = (("Small", 8), ("Middle", 12), ("Large", 24))
"""Side of what is blurred, in the network's 96 pixels."""
MAX_WORDS = 120
ASK_WORDS = "Shows whether the answer follows the words, and where they look."
ASK_OCCLUSION = "Shows beside the attention which places lower and which raise the answer when they are blurred; a second or two."
FIRST_GROWN = 7000
"""Made-up pictures for growing, beyond those that the card's numbers come from."""


@dataclass(frozen=True)
class Parts:
    """What the experiments are made of."""

    words: gr.Textbox
    ask_words: gr.Button
    worded: gr.HTML
    worded_looks: gr.HTML
    probe: gr.HTML
    piece: gr.Radio
    pieces: gr.HTML
    occlude: gr.Button
    occluded: gr.HTML
    grow: gr.Button
    another: gr.Button
    drawn: gr.Row
    """Holds both curves; not there before something is grown."""
    curve: gr.HTML
    scales: gr.HTML
    grown: gr.HTML

    @property
    def of_picture(self) -> list[gr.HTML]:
        """What was worked out for a picture, a network and a finding."""
        return [self.worded, self.worded_looks, self.occluded]

    @property
    def of_finding(self) -> list[Any]:
        """What was worked out for a network and a finding on made-up pictures."""
        return [self.drawn, self.grown, self.another]


def lay_out(opening: Scan) -> Parts:
    """The components; `opening` is the picture the page opens with."""
    gr.Markdown("#### Ask for it in your own words", container=False)
    words = gr.Textbox(
        label="Other words for this finding",
        info="The network keeps the finding's own weights; only the question changes.",
        placeholder="a round spot",
        max_length=MAX_WORDS,
        elem_id="hsvlt_words",
    )
    with gr.Row(elem_classes="lb-controls"):
        ask_words = gr.Button("Ask in these words", elem_id="hsvlt_ask_words")
    worded = charts.gauges(elem_id="hsvlt_worded", empty=ASK_WORDS)
    worded_looks = charts.heat_overlay(elem_id="hsvlt_worded_looks", empty=" ")
    gr.Markdown("#### Was it the reason? Take pieces away", container=False)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            probe = pixel_probe(elem_id="hsvlt_probe", label="Picture, to blur a piece of it", picture=opening.for_canvas())
        with gr.Column(scale=2, min_width=320):
            piece = gr.Radio(
                list(PIECES),
                value=12,
                label="Piece that is blurred",
                info="Click the picture, or move with the arrow keys.",
                elem_id="hsvlt_piece",
            )
            pieces = charts.gauges(elem_id="hsvlt_pieces")
    with gr.Row(elem_classes="lb-controls"):
        occlude = gr.Button("Blur every place in turn", elem_id="hsvlt_occlude")
    occluded = charts.heat_overlay(elem_id="hsvlt_occluded", empty=ASK_OCCLUSION)
    gr.Markdown("#### Which size does it need? Grow and shrink the finding", container=False)
    with gr.Row(elem_classes="lb-controls"):
        grow = gr.Button("Grow and shrink it", elem_id="hsvlt_grow")
        another = gr.Button("On another picture", elem_id="hsvlt_another", visible=False)
    with gr.Row(visible=False) as drawn:
        with gr.Column(min_width=300):
            curve = curves(elem_id="hsvlt_grown_curve")
        with gr.Column(min_width=300):
            scales = curves(elem_id="hsvlt_grown_scales")
    grown = html.show("", elem_id="hsvlt_grown")
    return Parts(
        words, ask_words, worded, worded_looks, probe, piece, pieces, occlude, occluded, grow, another, drawn, curve, scales, grown
    )


def wire(desk: Desk, source: ImageInput, parts: Parts) -> None:
    """Who answers whom."""
    inputs = [desk.finding, *desk.inputs]
    seed = gr.State(0)

    def words(request: gr.Request, text: str, finding: str, *values: Any) -> list[Any]:
        with spoken():
            work = desk.work(request, values)
            told = work.predictor.reworded(work.prepared, finding, str(text or "")[:MAX_WORDS])
            return [gr.HTML(data=results.reworded(work, finding, told)), gr.HTML(data=results.reworded_looks(work, finding, told))]

    def point(request: gr.Request, at: Any, piece: int, finding: str, *values: Any) -> list[Any]:
        with spoken():
            return pieced(desk.work(request, values), read_place(at), int(piece), finding)

    def occlusion(request: gr.Request, piece: int, finding: str, *values: Any) -> Any:
        with spoken():
            return gr.HTML(data=results.occluded(desk.work(request, values), finding, int(piece)))

    def growth(request: gr.Request, number: int, finding: str, *values: Any) -> list[Any]:
        with spoken():
            return [gr.Row(visible=True), *grown(desk.work(request, values), finding, number), gr.Button(visible=True)]

    def open_picture(request: gr.Request, shown: Shown) -> Any:
        with spoken():
            return gr.HTML(picture=scan(desk.context, request, shown).for_canvas())

    for event in (parts.ask_words.click, parts.words.submit):
        event(words, [parts.words, *inputs], [parts.worded, parts.worded_looks], **EVENT)
    for event in (parts.probe.chosen, parts.piece.input, desk.finding.change, desk.arm.change):
        event(point, [parts.probe, parts.piece, *inputs], [parts.probe, parts.pieces], **EVENT)
    parts.occlude.click(occlusion, [parts.piece, *inputs], parts.occluded, **SLOW)
    shown = [parts.drawn, parts.curve, parts.scales, parts.grown, parts.another]
    parts.grow.click(growth, [seed, *inputs], shown, **SLOW)
    parts.another.click(lambda number: number + 1, seed, seed, **QUICK).then(growth, [seed, *inputs], shown, **SLOW)
    source.shown.change(open_picture, source.shown, parts.probe, **OPENING)
    source.shown.change(_emptied, None, parts.of_picture, **QUICK)
    for event in (desk.arm.change, desk.finding.change):
        event(
            lambda: [*_emptied(), gr.Row(visible=False), "", gr.Button(visible=False)],
            None,
            [*parts.of_picture, *parts.of_finding],
            **QUICK,
        )


def _emptied() -> list[gr.HTML]:
    """For `Parts.of_picture`."""
    return [gr.HTML(data={"empty": words}) for words in (ASK_WORDS, " ", ASK_OCCLUSION)]


def pieced(work: Work, place: Place | None, piece: int, finding: str) -> list[Any]:
    """Values for the probe and the gauges. What was pointed at on another picture counts as nothing. ValueErrors with a sentence."""
    height, width = work.scan.size
    if place is None or place.picture != work.scan.id or place.x >= width or place.y >= height:
        return [gr.skip(), gr.skip()]
    logits, where = work.predictor.covered(work.prepared, ((place.y + 0.5) / height, (place.x + 0.5) / width), patch=piece)
    rows, columns = where.nonzero()
    answer = row_of(
        place,
        where[::2, ::2].astype(float),
        pixel=(int(rows.mean()) // 2, int(columns.mean()) // 2),
        note=results.pieced_words(work, finding, logits),
    )
    return [gr.HTML(answer=answer), gr.HTML(data=results.pieces(work, logits))]


def grown(work: Work, finding: str, number: int) -> Sequence[Any]:
    """Values for both curves and the pictures, on the `number`-th picture."""
    from models.shared.data.phantoms import split_seeds

    curve, scales, table = results.grown(work, finding, split_seeds("test", 1, FIRST_GROWN + number)[0])
    return [gr.HTML(data=curve), gr.HTML(data=scales), table]
