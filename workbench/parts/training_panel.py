"""The row of buttons that starts and steers a job, and the page's memory of which job it is looking at.

    panel = job_controls("sofim_race", start_label="Start the race", steps=True)
    panel.wire(context, board, start=build_config, inputs=[…], work="models.sofim.race:race", api_name="sofim_race")

One way for every tab: start, pause and resume, one step, stop, "go on when I close this page"; a reload of the page finds the job again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.context import Context
from workbench.jobs import JobNotFound, JobRefused
from workbench.visitors import visitor_of


@dataclass(frozen=True)
class Controls:
    """The buttons of one job panel; `job` is a State with the id of the job shown."""

    start: gr.Button
    pause: gr.Button | None
    step: gr.Button | None
    stop: gr.Button
    keep: gr.Checkbox
    job: gr.State

    def wire(
        self,
        context: Context,
        board: gr.HTML,
        *,
        config: Callable[..., dict[str, Any]],
        inputs: Sequence[Any],
        work: str,
        title: Callable[[dict[str, Any]], str],
        with_request: bool = False,
    ) -> None:
        """Connect the buttons. `config(*inputs)` (with_request: `config(request, *inputs)`) makes the job's configuration or raises ValueError with a sentence."""

        def begin(request: gr.Request, keep: bool, old: str, *values: Any) -> tuple[Any, str]:
            try:
                made = config(request, *values) if with_request else config(*values)
                command(context, request, old)
                job = context.start(work, made, request, title=title(made), keep=keep)
            except ValueError as refused:
                raise gr.Error(str(refused), print_exception=False) from None
            return gr.HTML(job={"id": job.id}), job.id

        self.start.click(
            begin,
            [self.keep, self.job, *inputs],
            [board, self.job],
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=None,  # through the queue: Gradio shows the sentence of an error only there
        )

        def halt(request: gr.Request, job: str) -> None:
            command(context, request, job)

        self.stop.click(halt, self.job, None, queue=False, api_visibility="private")
        if self.pause is not None and self.step is not None:
            self._wire_steps(context)

    def _wire_steps(self, context: Context) -> None:
        pause, step = self.pause, self.step

        def toggle(request: gr.Request, job: str, label: str) -> gr.Button:
            pausing = label == PAUSE
            command(context, request, job, {"do": "pause" if pausing else "resume"})
            return gr.Button(RESUME if pausing and job else PAUSE)

        def single(request: gr.Request, job: str) -> gr.Button:
            command(context, request, job, {"do": "pause"})
            command(context, request, job, {"do": "step"})
            return gr.Button(RESUME if job else PAUSE)

        pause.click(toggle, [self.job, pause], pause, queue=False, api_visibility="private", show_progress="hidden")
        step.click(single, self.job, pause, queue=False, api_visibility="private", show_progress="hidden")
        self.start.click(lambda: gr.Button(PAUSE), None, pause, queue=False, api_visibility="private", show_progress="hidden")

    def find_again(self, context: Context, board: gr.HTML, work: str, *, recipe: str = "") -> Callable[[gr.Request], tuple[Any, str]]:
        """A handler for the page's load event: shows the visitor's job of this kind that is still running or waiting, if there is one.

        recipe: where several trainings are started through one work, the one that the configuration must name.
        """

        def found(request: gr.Request) -> tuple[Any, str]:
            for job in context.jobs.list(visitor_of(request)):
                if job.work == work and job.config.get("recipe", "") == recipe and not job.over:
                    return gr.HTML(job={"id": job.id}), job.id
            return gr.skip(), ""

        return found


PAUSE, RESUME = "Pause", "Go on"


def job_controls(name: str, *, start_label: str, steps: bool = False) -> Controls:
    """Lay the buttons out in one row. steps: also offer Pause and Single step."""
    with gr.Row(elem_classes="lb-controls"):
        start = gr.Button(start_label, variant="primary", elem_id=f"{name}_start")
        pause = gr.Button(PAUSE, elem_id=f"{name}_pause") if steps else None
        step = gr.Button("Single step", elem_id=f"{name}_step") if steps else None
        stop = gr.Button("Stop", variant="stop", elem_id=f"{name}_stop")
        keep = gr.Checkbox(False, label="Go on when I close this page", elem_id=f"{name}_keep", container=False, min_width=270)
    return Controls(start, pause, step, stop, keep, gr.State(""))


def command(context: Context, request: gr.Request, job: str, what: dict[str, Any] | None = None) -> None:
    """Pass a command to the visitor's own job, or stop it (None). A job that has ended or gone takes no notice: pressing Stop twice,
    or turning a knob after the end, is no error people need to read about."""
    if not job:
        return
    try:
        context.own_job(job, request)
        if what is None:
            context.jobs.stop(job)
        else:
            context.jobs.send(job, what)
    except (JobNotFound, JobRefused):
        return
