"""Automatic segments, as in the paper: a grid of points, thresholds, progress on the canvas, and a stop that leaves what was there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.medfocusclip.providers import PACKAGE_GRID, GridOptions
from workbench.parts.events import Late, spoken
from workbench.parts.prompt_canvas import segments
from workbench.parts.segments import MAX_SEGMENTS
from workbench.tabs.medfocusclip.desk import Desk
from workbench.tabs.medfocusclip.engine import for_page

POLL_S = 0.15


class Stopped(Exception):
    """Raised inside the segmenter when people press Stop."""


class StopFlag(threading.Event):
    """The stop of one page: a state's value is copied for each page, and a copy of this is a flag of its own.

    A function as the state's value would do as much, but becomes an event that programs see among the site's functions.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> StopFlag:
        return StopFlag()


@dataclass(frozen=True)
class Finder:
    """The buttons and the grid's settings."""

    find: gr.Button
    stop: gr.Button
    grid: gr.Slider
    score: gr.Slider
    stability: gr.Slider
    overlap: gr.Slider
    smallest: gr.Slider
    add: gr.Checkbox

    @property
    def settings(self) -> list[Any]:
        """In the order `grid_options` takes them."""
        return [self.grid, self.score, self.stability, self.overlap, self.smallest, self.add]


def layout() -> Finder:
    """Two buttons in sight, thresholds folded in."""
    usual = GridOptions()
    with gr.Row(elem_classes="lb-controls"):
        find = gr.Button("Find segments by itself", elem_id="medfocusclip_find", min_width=200)
        stop = gr.Button("Stop", variant="stop", elem_id="medfocusclip_find_stop", min_width=100)
        add = gr.Checkbox(False, label="Keep what is marked", elem_id="medfocusclip_find_add", container=False, min_width=190)
    with gr.Accordion("How it looks for segments", open=False, elem_id="medfocusclip_grid_panel"):
        hint = f"Points along each side; each is one click of the segmenter. The paper's tool uses {PACKAGE_GRID}."
        grid = gr.Slider(2, PACKAGE_GRID, value=usual.points_per_side, step=1, label="Grid", info=hint, elem_id="medfocusclip_grid")
        with gr.Row():
            score = gr.Slider(
                0,
                1,
                value=usual.score_threshold,
                step=0.05,
                label="Least estimated fit",
                info="The segmenter's own guess.",
                elem_id="medfocusclip_score",
            )
            stability = gr.Slider(
                0,
                1,
                value=usual.stability_threshold,
                step=0.05,
                label="Least stability",
                info="How little the outline moves with the cut-off.",
                elem_id="medfocusclip_stability",
            )
        with gr.Row():
            overlap = gr.Slider(
                0, 1, value=usual.overlap_threshold, step=0.05, label="Most overlap of two boxes", info="Above it the weaker one goes."
            )
            smallest = gr.Slider(0, 5, value=0.1, step=0.1, label="Smallest area (% of the picture)", elem_id="medfocusclip_smallest")
    return Finder(find, stop, grid, score, stability, overlap, smallest, add)


def wire(desk: Desk, finder: Finder) -> None:
    """Connect the buttons."""
    flag = gr.State(StopFlag())

    def find(request: gr.Request, stop: threading.Event, *values: Any) -> Iterator[gr.HTML]:
        count = len(finder.settings)
        yield from propose(desk, request, stop, values[:count], values[count:])

    finder.find.click(
        find,
        [flag, *finder.settings, *desk.inputs],
        desk.canvas,
        show_progress="hidden",
        api_visibility="private",
        concurrency_id="model",
        concurrency_limit=1,
        trigger_mode="once",
    )
    finder.stop.click(lambda event: event.set(), flag, None, queue=False, api_visibility="private")


def propose(desk: Desk, request: Any, stop: threading.Event, settings: Any, values: Any) -> Iterator[gr.HTML]:
    """The canvas's updates while segments are looked for: `busy` with the share done, at last the segments."""
    stop.clear()
    yield gr.HTML(busy={"text": "Looking for segments …", "share": 0})
    told: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    result: dict[str, Any] = {}

    def told_progress(done: int, of: int) -> None:
        if stop.is_set():
            raise Stopped
        told.put((done, of))

    def run() -> None:
        try:
            work = desk.work(request, values)
            grid = grid_options(settings, work.prepared.shape)
            result["picture"] = work.scan.id
            result["found"] = work.rooms.propose(work.prepared, grid, told_progress)
        except Exception as why:  # noqa: BLE001  handed over to the thread that talks to the page
            result["why"] = why

    worker = threading.Thread(target=run, name="proposals", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(POLL_S)
            latest = None
            while not told.empty():
                latest = told.get()
            if latest:
                yield gr.HTML(busy={"text": f"Looking for segments: {latest[0]} of {latest[1]} points", "share": latest[0] / latest[1]})
    finally:
        stop.set()  # also when the page was closed: nobody waits for the rest
        worker.join()
    yield gr.HTML(busy=None)
    if "found" in result:
        yield gr.HTML(given=_given(result, keep=bool(settings[-1])))
    elif not isinstance(result["why"], Stopped | Late):
        with spoken():
            raise result["why"]


def grid_options(settings: Any, shape: tuple[int, int]) -> GridOptions:
    """The grid from the sliders' values. OptionRefused with a sentence."""
    points, score, stability, overlap, smallest, _ = settings
    return GridOptions(int(points), float(score), float(stability), float(overlap), round(float(smallest) / 100 * shape[0] * shape[1]))


def _given(result: dict[str, Any], *, keep: bool) -> dict[str, Any]:
    """The best ones, as many as a canvas holds, the largest first."""
    best = sorted(result["found"], key=lambda one: -one.score)[:MAX_SEGMENTS]
    return segments(for_page(sorted(best, key=lambda one: -one.area)), replace=not keep, picture=result["picture"])
