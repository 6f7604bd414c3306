"""Evidence: the committed study over seeds and a fair grid, including where SOFIM loses."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.checkpoints import Card, CheckpointRefused, read_card
from models.shared.method import Method
from models.sofim.tasks import TASKS
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer, number
from workbench.tabs.sofim.names import TARGETS, labels


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out: the card's recomputable numbers first, then how each optimiser was tuned and how it fared on the way."""
    evidence_drawer(method, labels=labels(), lower_is_better=("test_loss", "steps_to"))
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        return
    with gr.Accordion("How each optimiser was tuned, how often it diverged, and what a step cost", open=False):
        html.show(_tuning(card), elem_id="sofim_tuning")


def _tuning(card: Card) -> str:
    tasks = dict.fromkeys(row["task"] for row in card.extra["table"])
    parts = [_task(card, task) for task in tasks]
    words = (
        "Every optimiser was searched over the same number of settings, each run once with a seed that no reported run uses; the best was then run "
        "with each reported seed. These figures were recorded when the study was run; the evaluate command computes the tables above again, not these. "
        "Seconds are of that one machine. Words of memory are counted from the update rule, not measured."
    )
    return f"<p class='lb-hint'>{words}</p>" + "".join(parts)


def _task(card: Card, task: str) -> str:
    rows = [row for row in card.extra["table"] if row["task"] == task]
    targets = card.extra["targets"][task]
    head = ["Optimiser", "Best setting found", "Settings that diverged", "Runs that diverged", "Step, ms", "Words moved per step"]
    head += [f"Median steps to {TARGETS[name]} {goal:g}" for name, goal in targets.items()]
    return html.card(TASKS[task].title, html.table(head, [_row(row, targets) for row in rows]))


def _row(row: dict[str, Any], targets: dict[str, float]) -> list[str]:
    setting = ", ".join(f"{name} {value:g}" for name, value in row["hyper"].items())
    cells = [
        html.text(row["label"]),
        html.text(setting),
        f"{row['diverged_settings']} of {row['settings']}",
        f"{row['diverged_runs']} of {row['seeds']}",
    ]
    cells += [number(row["ms_per_step"]), f"{row['words_per_step']:,.0f}"]
    return cells + [_reached(row["targets"][name], row["seeds"]) for name in targets]


def _reached(target: dict[str, Any], seeds: int) -> str:
    if target["steps"] is None:
        return f"not reached <small>({target['reached']} of {seeds} runs)</small>"
    missing = "" if target["reached"] == seeds else f" <small>({target['reached']} of {seeds} runs)</small>"
    return f"{target['steps']:g}{missing}"
