"""Explore: one picture, its findings; thresholds for all and for each, the scale that decided, where words looked. Experiments stand in their own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.hsvlt.findings import FINDINGS
from models.shared.method import Method
from workbench import exports
from workbench.context import Context
from workbench.parts import charts, html
from workbench.parts.events import EVENT, QUICK, spoken
from workbench.parts.image_input import ImageInput, image_input
from workbench.tabs.hsvlt import api, experiments, results
from workbench.tabs.hsvlt.desk import DESKS, Desk, Work
from workbench.tabs.hsvlt.names import SCALES, WARNING, arm_choices
from workbench.tabs.hsvlt.scan import examples
from workbench.working_scan import scan


@dataclass(frozen=True)
class Shows:
    """Where answers are drawn."""

    listed: gr.HTML
    verdict: gr.HTML
    shares: gr.HTML
    looks: gr.HTML
    semantics: gr.HTML
    every_block: gr.Radio

    @property
    def now(self) -> list[gr.HTML]:
        """What follows every change."""
        return [self.listed, self.verdict, self.shares, self.looks, self.semantics]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    html.show(f'<p class="lb-warning" role="note">{html.text(WARNING)}</p>', elem_id="hsvlt_warning")
    source = image_input(context, elem_id="hsvlt_input", examples=examples())
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            listed = charts.gauges(elem_id="hsvlt_listed", asks=True)
            verdict = html.show("", elem_id="hsvlt_verdict")
        with gr.Column(scale=2, min_width=320):
            arm = gr.Dropdown(
                arm_choices(), value="full", label="Network", info="The whole method, or one part changed.", elem_id="hsvlt_arm"
            )
            threshold = gr.Slider(0.02, 0.98, value=0.5, step=0.01, label="Reported from this probability", elem_id="hsvlt_threshold")
            asked = gr.CheckboxGroup(
                list(FINDINGS),
                value=list(FINDINGS),
                label="Findings to ask for",
                info="Leaving some out changes no other answer: try it.",
                elem_id="hsvlt_asked",
            )
            scales = gr.CheckboxGroup(
                [(f"Scale {scale}", scale) for scale in SCALES],
                value=list(SCALES),
                label="Scales that count",
                info="1 is the finest. Leaving one out takes its share away.",
                elem_id="hsvlt_scales",
            )
    own = gr.State({})
    gr.Markdown("#### One finding", container=False)
    with gr.Row():
        finding = gr.Dropdown(list(FINDINGS), value=FINDINGS[2], label="Finding", elem_id="hsvlt_finding", scale=2)
        own_threshold = gr.Slider(
            0.02,
            0.98,
            value=0.5,
            step=0.01,
            label="Its own threshold",
            info="Overrides the one for all.",
            elem_id="hsvlt_own_threshold",
            scale=2,
        )
    with gr.Row(elem_classes="lb-controls"):
        reset = gr.Button("Forget own thresholds", elem_id="hsvlt_reset")
    shares = charts.gauges(elem_id="hsvlt_shares")
    every_block = gr.Radio(
        [("The last block of each scale", False), ("Every block, one after the other", True)],
        value=False,
        label="Where its words looked",
        elem_id="hsvlt_every_block",
    )
    looks = charts.heat_overlay(elem_id="hsvlt_looks")
    parts = experiments.lay_out(scan(context, None, source.first))
    gr.Markdown("#### The findings' words", container=False)
    semantics = html.show("", elem_id="hsvlt_semantics")
    desk = Desk(context, source.shown, arm, threshold, own, asked, scales, finding)
    _wire(desk, source, Shows(listed, verdict, shares, looks, semantics, every_block), own_threshold, reset)
    experiments.wire(desk, source, parts)
    _wire_files(desk)
    api.publish(context)
    DESKS.keep(site, desk)


def _wire(desk: Desk, source: ImageInput, shows: Shows, own_threshold: gr.Slider, reset: gr.Button) -> None:
    inputs = [shows.every_block, desk.finding, *desk.inputs]

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        return answered(desk, request, values)

    def choose(request: gr.Request, *values: Any) -> list[Any]:
        _, finding, _, _, threshold, own, *_ = values
        return [gr.Slider(value=(own or {}).get(finding, threshold)), *answered(desk, request, values)]

    def set_own(value: float, finding: str, own: dict) -> dict:
        return {**(own or {}), finding: float(value)}

    for event in (
        shows.listed.opened,
        source.shown.change,
        desk.arm.change,
        desk.threshold.release,
        desk.asked.change,
        desk.scales.change,
        shows.every_block.input,
        desk.own_thresholds.change,
    ):
        event(ask, inputs, shows.now, **EVENT)
    desk.finding.change(choose, inputs, [own_threshold, *shows.now], **EVENT)
    own_threshold.release(set_own, [own_threshold, desk.finding, desk.own_thresholds], desk.own_thresholds, **QUICK)
    reset.click(lambda threshold: [{}, threshold], desk.threshold, [desk.own_thresholds, own_threshold], **QUICK)


def _wire_files(desk: Desk) -> None:
    with gr.Row(elem_classes="lb-controls"):
        make = gr.Button("Take these numbers along", elem_id="hsvlt_take")
        files = [
            gr.DownloadButton(label, visible=False, elem_id=f"hsvlt_{kind}")
            for label, kind in (("Findings (CSV)", "csv"), ("Everything (JSON)", "json"))
        ]

    def made(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            table, record = taken(desk, desk.work(request, values))
        names = ("lightbox-hsvlt.csv", "lightbox-hsvlt.json")
        return [gr.DownloadButton(value=exports.save(name, data), visible=True) for name, data in zip(names, (table, record), strict=True)]

    make.click(made, desk.inputs, files, **EVENT)


def taken(desk: Desk, work: Work) -> tuple[bytes, bytes]:
    """The findings as CSV, and everything with its stamp as JSON."""
    told = results.numbers(work)
    stages = [f"scale_{stage}" for stage in work.answer.stages]
    head = ("finding", "probability", "threshold", "reported", "logit", "bias", *stages)
    rows = [[one[key] for key in head[:6]] + list(one["by_scale"].values()) for one in told["findings"]]
    stamp = exports.stamp("hsvlt", checkpoints={"HSVLT": work.predictor.sha256}, device=desk.context.device, network=work.predictor.arm)
    return exports.csv_bytes(head, rows), exports.json_bytes(told, stamp=stamp)


def answered(desk: Desk, request: Any, values: Any) -> list[Any]:
    """Values for the list, the verdict, the shares, the maps and the words; values: whether every block, finding, then `Desk.inputs`."""
    every_block, finding, *settings = values
    with spoken():
        work = desk.work(request, settings)
        return [
            gr.HTML(data=results.listed(work)),
            results.verdict(work),
            gr.HTML(data=results.shares(work, finding)),
            gr.HTML(data=results.looks(work, finding, every_block)),
            results.semantics(work, finding),
        ]
