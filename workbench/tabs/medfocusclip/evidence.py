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
OWN = "painted"
MEASURES = {
    "accuracy": "Accuracy, mean of the seeds",
    "accuracy_over_seeds": "The same, interval over the seeds",
    "accuracy_with_cue": "Accuracy while the sign is there",
    "shipped_accuracy": "Accuracy of the shipped network",
}
OPENING = {"liver_ct": "Liver-CT-like", "brain_mri": "Brain MRI"}
"""How the card's sentences about a study begin."""
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
    """Plain names of tasks, shares and arms as they stand in the card's metric names; '' is the paper's way."""
    names = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label} | MEASURES
    for task in TASKS.values():
        names |= {f"{task.id}_{_percent(share)}": f"{task.title}, {_percent(share)} % of the training pictures" for share in task.fractions}
    return names


def board(card: Card, task_id: str) -> str:
    """One study as a table: a row for each way, a column for each share of the training pictures; "" where the card has none of it."""
    task = TASKS[task_id]
    found = {(arm, share): _metric(card, task_id, arm, share) for arm in task.arms for share in task.fractions}
    if not any(found.values()):
        return ""
    metric = next(one for one in found.values() if one)
    shares = [share for share in task.fractions if any(found[arm, share] for arm in task.arms)]
    best = {share: max((one.value for arm in task.arms if (one := found[arm, share])), default=0.0) for share in shares}
    rows = [[html.text(ARMS[arm].label), *(_cell(found[arm, share], best[share]) for share in shares)] for arm in task.arms]
    head = [f"Accuracy on {metric.n:,} held-out pictures", *(f"{_percent(share)} %{_pictures(card, task_id, share)}" for share in shares)]
    note = (
        f"<p>{html.text(KINDS[metric.kind])}. Columns: share of the training pictures. Small figures: 95 % intervals ({html.text(metric.interval)}); "
        "bold: best of the column, whether or not the intervals overlap.</p>"
    )
    said = [sentence for sentence in card.extra.get("findings", []) if sentence.startswith(OPENING[task_id])]
    own = [html.table(head, rows, row_classes=["lb-own" if arm == OWN else "" for arm in task.arms]), html.bullets(said) if said else ""]
    return html.card(f"Our study: {task.title}", note, *own, _theirs(task_id, shares))


def _theirs(task_id: str, shares: Sequence[float]) -> str:
    """The paper's rows on what is most likely the same set, apart from ours and called so."""
    if task_id not in SAME_SET:
        return ""
    rows = [row for row in paper.TABLE if row.dataset == SAME_SET[task_id]]
    at = [paper.FRACTIONS.index(share) for share in shares if share in paper.FRACTIONS]
    body = [[html.text(row.model), *(f"{row.accuracy[place]:.1f} %" for place in at)] for row in rows]
    head = ["The paper's numbers, not ours", *(f"{_percent(paper.FRACTIONS[place])} %" for place in at)]
    return f"<p><b>Apart from ours:</b> {html.text(paper.SOURCE)}</p>" + html.table(head, body) + f"<p>{html.text(DIFFERENCE)}</p>"


def paper_table() -> str:
    """The paper's whole table, as published, with what an honest reader notes."""
    rows = [
        [f"{html.text(row.dataset)}: {html.text(row.model)}", *(f"{value:.2f}".rstrip("0").rstrip(".") for value in row.accuracy)]
        for row in paper.TABLE
    ]
    head = ["Accuracy in per cent, by share of the training set", *(f"{_percent(share)} %" for share in paper.FRACTIONS)]
    return html.card("The paper's own table", f"<p>{html.text(paper.SOURCE)}</p>", html.table(head, rows), html.bullets(paper.READING))


def _metric(card: Card, task_id: str, arm: str, share: float) -> Metric | None:
    at = "" if arm == OWN else f"@{arm}"
    return card.metrics.get(f"{task_id}_{_percent(share)}/accuracy{at}")


def _pictures(card: Card, task_id: str, share: float) -> str:
    """How many pictures a share is, where the card's table says so."""
    rows = [row for row in card.extra.get("table", []) if (row["task"], row["fraction"]) == (task_id, share)]
    return f" ({rows[0]['n_train']:,} pictures)" if rows else ""


def _cell(metric: Metric | None, best: float) -> str:
    if metric is None:
        return "–"
    value = f"{100 * metric.value:.1f} %"
    shown = f'<span class="lb-best">{value}</span>' if metric.value == best else value
    return f"{shown} <small>{100 * metric.low:.1f} to {100 * metric.high:.1f}</small>"


def _percent(share: float) -> str:
    return f"{100 * share:g}"
