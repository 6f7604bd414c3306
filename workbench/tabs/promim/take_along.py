"""Explore, results to take away: the probabilities as a table, and everything that was asked and answered as JSON with its stamp."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.promim.arms import ARMS
from workbench.exports import csv_bytes, json_bytes, save, stamp
from workbench.tabs.promim.desk import Desk
from workbench.tabs.promim.question import Question
from workbench.tabs.promim.truth import place_of

if TYPE_CHECKING:
    from models.promim.records import Answer
    from workbench.tabs.promim.desk import Asked


@dataclass(frozen=True)
class Files:
    """The button that makes the files, and those that hand them out."""

    make: gr.Button
    table: gr.DownloadButton
    record: gr.DownloadButton


def buttons() -> Files:
    """Lay them out; the files come when they are asked for."""
    with gr.Row(elem_classes="lb-controls"):
        return Files(
            gr.Button("Take these numbers along", elem_id="promim_take"),
            gr.DownloadButton("Probabilities (CSV)", visible=False, elem_id="promim_csv"),
            gr.DownloadButton("Everything (JSON)", visible=False, elem_id="promim_json"),
        )


def wire(desk: Desk, files: Files, inputs: list[Any]) -> None:
    """Connect the button; `inputs` are grid, shown picture and the question's controls."""

    def make(request: gr.Request, painted: Any, shown: Any, *values: Any) -> list[gr.DownloadButton]:
        question = Question(*values)
        try:
            asked = desk.ask(request, painted, shown, question)
            if asked is None:
                raise ValueError("The picture is still being worked on; try again in a second.")
            started = time.perf_counter()
            answer = asked.explorer.run(asked.prepared, asked.options)
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        made = {"table": csv_of(answer), "record": record_of(asked, answer, time.perf_counter() - started)}
        names = {"table": "lightbox-promim.csv", "record": "lightbox-promim.json"}
        return [gr.DownloadButton(value=save(names[key], data), visible=True) for key, data in made.items()]

    files.make.click(make, inputs, [files.table, files.record], show_progress="hidden", api_visibility="private", concurrency_limit=2)


def csv_of(answer: Answer) -> bytes:
    """One row a class, one column a method; shares in 0…1."""
    head = ["class", *(ARMS[arm].title for arm in answer.arms)]
    rows = [[name, *(float(row[c]) for row in answer.probabilities)] for c, name in enumerate(answer.classes)]
    return csv_bytes(head, rows)


def record_of(asked: Asked, answer: Answer, seconds: float) -> bytes:
    """Question, mask and answer, with what made them."""
    explorer, place = asked.explorer, place_of(asked.picture.phantom, answer.classes)
    made_by = stamp(
        "promim",
        checkpoints={"clip": explorer.clip.sha256} | ({"prompts": explorer.weights.card.sha256} if explorer.weights else {}),
        seed=asked.options.seed,
        device=str(explorer.clip.device),
        seconds=seconds,
        options=asdict(asked.options),
    )
    values = {
        "picture": {"title": asked.picture.title, "sha256": asked.picture.content_hash, "phantom": asked.picture.phantom is not None},
        "label": None if place is None else answer.classes[place],
        "task": asked.task.id,
        "grid": list(asked.prepared.grid),
        "patches_seen": answer.keep,
        "classes": list(answer.classes),
        "probabilities": dict(zip(answer.arms, answer.probabilities, strict=True)),
        "preset": asdict(answer.preset) if answer.preset else None,
        "note": answer.note,
    }
    return json_bytes(values, stamp=made_by)
