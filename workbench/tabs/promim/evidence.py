"""Evidence: Base, New and H of every method on phantoms with intervals, the sweep over r and λ, and the papers' numbers apart."""

from __future__ import annotations

import gradio as gr

from models.promim.arms import ARMS
from models.promim.presets import RATIOS, WEIGHTS
from models.promim.tasks import TASKS
from models.shared.checkpoints import Card, CheckpointRefused, Metric, read_card
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer, number
from workbench.tabs.promim import paper

MEAN = "mean"
MEASURES = {"base": "Base", "new": "New", "h": "H, harmonic mean of both"}
ARM_ORDER = ("clip", "coop", "cocoop", "kgcoop", "")


def labels() -> dict[str, str]:
    """Plain names for tasks, measures and arms as they stand in the card's metric names; '' is ProMIM as recommended."""
    names = {task.id: task.title for task in TASKS.values()} | {MEAN: "Average over the tasks"} | MEASURES
    names |= {arm: record.title for arm, record in ARMS.items()} | {"": "ProMIM (75 % hidden, λ = 2)"}
    return names | {
        setting(ratio, weight): f"ProMIM ({100 * ratio:.0f} % hidden, λ = {weight:g})" for ratio in RATIOS for weight in WEIGHTS
    }


def setting(ratio: float, weight: float) -> str:
    """A setting of ProMIM as the card's metric names have it."""
    return f"promim-r{round(100 * ratio)}-w{weight:g}".replace(".", "p")


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out: the board first, then the card, then the papers."""
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        card = None
    if card is not None:
        html.show(board(card) + sweep(card), elem_id="promim_board")
    evidence_drawer(method, labels=labels(), paper_numbers=paper.IN_SHORT)
    html.show(paper.table(), elem_id="promim_paper")


def board(card: Card) -> str:
    """One row a method, Base / New / H a task: the numbers of the study in one look."""
    tasks = [task for task in (MEAN, *TASKS) if f"{task}/h" in card.metrics]
    names, head = labels(), ["Method"]
    head += [f"{names[task]}: {measure.partition(',')[0]}" for task in tasks for measure in MEASURES.values()]
    arms = [arm for arm in ARM_ORDER if any(f"{task}/h{_at(arm)}" in card.metrics for task in tasks)]
    best = {
        name: max(card.metrics[f"{name}{_at(arm)}"].value for arm in arms if f"{name}{_at(arm)}" in card.metrics)
        for name in _columns(tasks)
    }
    rows = [
        [html.text(names[arm]), *(_cell(card.metrics.get(f"{name}{_at(arm)}"), best[name]) for name in _columns(tasks))] for arm in arms
    ]
    note = (
        "<p>Phantoms, not patients. <b>Base</b>: classes the prompts were learned on. <b>New</b>: combinations of the same words that neither the "
        "prompts nor the CLIP met. <b>H</b>: their harmonic mean. Small figures: 95 % intervals; bold: best of the column, whether or not the intervals overlap.</p>"
    )
    return html.card(
        "Base, New and H on phantoms", note, html.table(head, rows, row_classes=["lb-own" if arm == "" else "" for arm in arms])
    )


def sweep(card: Card) -> str:
    """H over the share hidden and λ, averaged over the tasks (of the first task where there is only one)."""
    scope = MEAN if f"{MEAN}/h" in card.metrics else next((task for task in TASKS if f"{task}/h" in card.metrics), "")
    found = {(r, w): _of_setting(card, scope, r, w) for r in RATIOS for w in WEIGHTS}
    if sum(metric is not None for metric in found.values()) < 2:
        return ""
    best = max(metric.value for metric in found.values() if metric is not None)
    rows = [[f"λ = {weight:g}", *(_cell(found[ratio, weight], best) for ratio in RATIOS)] for weight in WEIGHTS]
    head = ["H", *(f"{100 * ratio:.0f} % hidden" for ratio in RATIOS)]
    words = f"<p>{html.text(labels()[scope])}, phantoms. No share hidden with λ = 0 is CoCoOp.</p>"
    return html.card("What the share hidden and the pull do", words, html.table(head, rows))


def _of_setting(card: Card, scope: str, ratio: float, weight: float) -> Metric | None:
    arm = "cocoop" if not ratio and not weight else setting(ratio, weight)
    own = (ratio, weight) == (0.75, 2.0)
    return card.metrics.get(f"{scope}/h" if own else f"{scope}/h@{arm}")


def _columns(tasks: list[str]) -> list[str]:
    return [f"{task}/{measure}" for task in tasks for measure in MEASURES]


def _at(arm: str) -> str:
    return f"@{arm}" if arm else ""


def _cell(metric: Metric | None, best: float) -> str:
    if metric is None:
        return "–"
    value = number(100 * metric.value)
    shown = f'<span class="lb-best">{value}</span>' if metric.value == best else value
    return f"{shown} <small>{number(100 * metric.low)} to {number(100 * metric.high)}</small>"
