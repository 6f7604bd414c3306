"""Evidence: what the studies found, in sentences made from the numbers, and the whole card."""

from __future__ import annotations

import gradio as gr

from models.resformer_mtl.plan import OWN, TASKS
from models.shared.checkpoints import Card
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.resformer_mtl.explore import card_of
from workbench.tabs.resformer_mtl.names import LOWER, labels

NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    card = card_of(method)
    if card is not None:
        note = "<p>Breast ultrasound: real scans (BUSI), split so that near copies stay together. Retina: made-up pictures.</p>"
        html.show(html.card("What our studies found", note, html.bullets(card.extra.get("findings", []))), elem_id="resformer_mtl_found")
        html.show("".join(reliability(card, task) for task in card.extra["tasks"]), elem_id="resformer_mtl_reliability")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=NO_PAPER)


def reliability(card: Card, task: str) -> str:
    """How often a class was truly there where the network said so much, on the held-out pictures of a task, all trainings and classes together."""
    row = next((one for one in card.extra["table"] if (one["task"], one["arm"]) == (task, OWN)), None)
    if row is None:
        return ""
    lines = [
        [
            f"{100 * one['low']:.0f} to {100 * one['high']:.0f} %",
            f"{100 * one['score']:.0f} %",
            f"{100 * one['true']:.0f} %",
            f"{one['n']:,}",
        ]
        for one in row["reliability"]
        if one["n"]
    ]
    head = ["The network said", "on average", "it was truly so", "answers"]
    note = (
        "<p>Well calibrated, the second and third column agree. All classes and the three trainings together, as the card recorded them; what the evaluate "
        "command computes again is the calibration error of the shipped network.</p>"
    )
    return html.card(f"Can its percentages be believed? {TASKS[task].title}", note, html.table(head, lines))
