"""Evidence: our two studies from the card, phantoms and real scans apart, and the paper's own table beside them with its source."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from models.medfocusclip import paper
from models.medfocusclip.study_plan import ARMS, TASKS
from models.shared.checkpoints import Card, CheckpointRefused, Metric, read_card
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import KINDS, evidence_drawer

PAPER_IN_SHORT = "They stand in the table below, with their source. None of them was measured here."
SAME_SET = {"brain_mri": "Brain"}
"""Our task → the paper's name of what is most likely the same set."""
DIFFERENCE = (
    "The two are not the same experiment. Theirs is a published CLIP of unknown size; ours is this program's small CLIP (4.6 million parameters, 128 "
    "pixels), which never met this set before. The set gives no patient numbers and holds near copies, so neither column tells how new patients would be read."
)


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out: our curves in one look, the card, the paper apart."""
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        card = None
    if card is not None:
        html.show("".join(board(card, task) for task in TASKS), elem_id="medfocusclip_board")
    evidence_drawer(method, labels=labels(), paper_numbers=PAPER_IN_SHORT)
    html.show(paper_table(), elem_id="medfocusclip_paper")


def labels() -> dict[str, str]:
    """Plain names of tasks, shares and arms as they stand in the card's metric names."""
    names = {arm.id: arm.label for arm in ARMS.values()}
    for task in TASKS.values():
        names[task.id] = task.title
        names |= {f"{task.id}-{_percent(share)}": f"{task.title}, {_percent(share)} % of the training pictures" for share in task.fractions}
    return names | {"accuracy": "Accuracy"}


def board(card: Card, task_id: str) -> str:
    """One study as a table: a row for each way, a column for each share of the training pictures; "" where the card has none of it."""
    task = TASKS[task_id]
    found = {(arm, share): _metric(card, task_id, arm, share) for arm in task.arms for share in task.fractions}
    if not any(found.values()):
        return ""
    kind = next(metric.kind for metric in found.values() if metric)
    rows = [[html.text(ARMS[arm].label), *(_cell(found[arm, share]) for share in task.fractions)] for arm in task.arms]
    head = ["Accuracy on held-out pictures", *(f"{_percent(share)} %" for share in task.fractions)]
    theirs = _theirs(task_id, task.fractions)
    note = f"<p>{html.text(KINDS[kind])}. Columns: share of the training pictures. Small figures: 95 % intervals.</p>"
    return html.card(f"Our study: {task.title}", note, html.table(head, rows), theirs)


def _theirs(task_id: str, fractions: Sequence[float]) -> str:
    """The paper's rows on what is most likely the same set, apart from ours and called so."""
    if task_id not in SAME_SET:
        return ""
    rows = [row for row in paper.TABLE if row.dataset == SAME_SET[task_id]]
    at = [paper.FRACTIONS.index(share) for share in fractions]
    body = [[html.text(row.model), *(f"{row.accuracy[place]:.1f} %" for place in at)] for row in rows]
    head = ["The paper's numbers, not ours", *(f"{_percent(share)} %" for share in fractions)]
    return f"<p><b>{html.text(paper.SOURCE)}</b></p>" + html.table(head, body) + f"<p>{html.text(DIFFERENCE)}</p>"


def paper_table() -> str:
    """The paper's whole table, as published, with what an honest reader notes."""
    rows = [
        [f"{html.text(row.dataset)}: {html.text(row.model)}", *(f"{value:.2f}".rstrip("0").rstrip(".") for value in row.accuracy)]
        for row in paper.TABLE
    ]
    head = ["Accuracy in per cent, by share of the training set", *(f"{_percent(share)} %" for share in paper.FRACTIONS)]
    return html.card("The paper's own table", f"<p>{html.text(paper.SOURCE)}</p>", html.table(head, rows), html.bullets(paper.READING))


def _metric(card: Card, task_id: str, arm: str, share: float) -> Metric | None:
    at = "" if arm == "painted" else f"@{arm}"
    return card.metrics.get(f"{task_id}-{_percent(share)}/accuracy{at}")


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return "–"
    return f"{100 * metric.value:.1f} % <small>{100 * metric.low:.1f} to {100 * metric.high:.1f}</small>"


def _percent(share: float) -> str:
    return f"{100 * share:g}"
