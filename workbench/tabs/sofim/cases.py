"""Explore, lower part: one held-out case through the networks that the optimisers ended with, and through the visitor's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from models.shared.checkpoints import CheckpointRefused
from models.sofim.tasks import TASKS, available
from workbench.context import Context
from workbench.jobs import Job
from workbench.parts import html
from workbench.parts.compare_strip import strip
from workbench.visitors import visitor_of

TRAIN = "models.sofim.training:train"
WEIGHTS = "weights.safetensors"


def cases(context: Context, site: gr.Blocks) -> None:
    """Lay the part out. The first case is worked out once the page is there, so that the page does not wait for torch."""
    here = [item.task for item in available() if item.here]
    gr.Markdown("#### Ask the trained networks: one case they have never seen", container=False)
    with gr.Row(elem_classes="lb-controls"):
        task = gr.Dropdown([(item.title, item.id) for item in here], value=here[0].id, label="Task", elem_id="sofim_case_task", scale=2)
        number = gr.Number(0, precision=0, minimum=0, label="Case number", elem_id="sofim_case_number", min_width=140)
        back, on = gr.Button("Case before", elem_id="sofim_case_back"), gr.Button("Next case", elem_id="sofim_case_next")
        split = gr.Button("Next they disagree on", elem_id="sofim_case_split")
    shown = html.show("", elem_id="sofim_case")

    def look(request: gr.Request, task_id: str, index: int | None) -> str:
        return _markup(context, request, task_id, int(index or 0))

    asked = {
        "fn": look,
        "inputs": [task, number],
        "outputs": shown,
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "model",
        "concurrency_limit": 1,
        "trigger_mode": "always_last",
    }
    site.load(**asked)
    number.change(**asked)
    task.change(**asked)
    quick = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    on.click(lambda index: int(index or 0) + 1, number, number, **quick)
    split.click(_disagreed, [task, number], number, show_progress="minimal", api_visibility="private", concurrency_id="model")
    back.click(lambda index: max(0, int(index or 0) - 1), number, number, **quick)


def _disagreed(task_id: str, index: int | None) -> int:
    from models.sofim.answers import next_disagreement

    found = next_disagreement(task_id, int(index or 0))
    if found is None:
        raise gr.Error("The shipped networks answer every case of this task alike, or there are none.", print_exception=False)
    return found


def _markup(context: Context, request: Any, task_id: str, index: int) -> str:
    from models.sofim.answers import OWN, answers, case

    shown = case(task_id, index)
    own = own_training(context, request, task_id)
    try:
        found = answers(shown, own)
    except (CheckpointRefused, FileNotFoundError) as why:
        raise gr.Error(str(why), print_exception=False) from None
    rows = [
        (
            answer.label,
            f"{shown.classes[answer.probabilities.argmax()]} ({100 * answer.probabilities.max():.0f} %)",
            float(answer.probabilities[shown.truth]),
            answer.right,
        )
        for answer in found
    ]
    caption = f"{TASKS[task_id].title}: test case {shown.index} of {shown.count}. The label says: {shown.classes[shown.truth]}."
    hint = (
        ""
        if any(answer.net == OWN for answer in found)
        else "<p class='lb-hint'>Train one yourself in the Train drawer, and it is asked here, too.</p>"
    )
    if not found:
        return "<p class='lb-hint'>No network is shipped for this task. Train one in the Train drawer, and it is asked here.</p>"
    markup = strip(picture=shown.picture, values=shown.values, caption=caption, truth=shown.classes[shown.truth], rows=rows)
    return (
        markup
        + hint
        + "<p class='lb-hint'>Small networks trained for this demonstration; research use only, no answer about a patient.</p>"
    )


def own_training(context: Context, request: Any, task_id: str) -> Path | None:
    """Weights of the visitor's latest finished training on a task, if there is one."""

    def fits(job: Job) -> bool:
        return job.work == TRAIN and job.over and job.config.get("task") == task_id

    for job in context.jobs.list(visitor_of(request)):
        if fits(job) and WEIGHTS in (files := context.jobs.result(job.id)):
            return files[WEIGHTS]
    return None
