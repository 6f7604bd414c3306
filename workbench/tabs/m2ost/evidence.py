"""Evidence: every network by spot and by gene on patients it never saw, what a leaking split adds, the real sections, and the papers' numbers apart."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.m2ost.arms import ARMS
from models.m2ost.presets import TOP, VARIANTS
from models.shared.checkpoints import Card, CheckpointRefused, Metric, read_card
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer, number
from workbench.tabs.m2ost import paper

MEASURES = {
    "spot_pcc": "By spot (r across genes)",
    "gene_pcc": "By gene (r across spots)",
    "local_pcc": "By gene, local genes",
    "context_pcc": "By gene, context genes",
    "rmse": "Error, log(1+CPM)",
}
SPLITS = {"patient": "Split by patient (the honest one)", "slide": "Split by slide (leaks)"}
MEAN = "Average profile, no picture"


def labels() -> dict[str, str]:
    """Plain names for splits, measures and arms as they stand in the card's metric names; '' is the whole method."""
    return SPLITS | MEASURES | {arm.id: arm.title for arm in ARMS.values()} | {"mean": MEAN, "": ARMS["full"].title}


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out: the board first, then leakage, genes, real sections, the card, the papers."""
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused):
        card = None
    if card is not None:
        html.show(board(card) + leakage(card), elem_id="m2ost_board")
        html.show(real(card), elem_id="m2ost_real")
    evidence_drawer(method, labels=labels(), lower_is_better=("rmse",), paper_numbers=paper.IN_SHORT)
    html.show(paper.table(), elem_id="m2ost_paper")


def board(card: Card) -> str:
    """One row a network, one column a measure, on the split by patient."""
    arms = ["mean", *(arm for arm in ARMS if f"patient/gene_pcc{_at(arm)}" in card.metrics)]
    best = {name: _best(card, name, arms) for name in MEASURES}
    rows = [
        [
            html.text(labels()["" if arm == "full" else arm]),
            *(_cell(card.metrics.get(f"patient/{name}{_at(arm)}"), best[name]) for name in MEASURES),
        ]
        for arm in arms
    ]
    note = (
        "<p>Made-up sections of patients that no training saw. The average profile scores high <b>by spot</b> without looking at the picture, since genes differ more than "
        "spots do; <b>by gene</b> it is worth nothing. Small figures: 95 % intervals over trainings; bold: best of the column, whether or not intervals overlap.</p>"
    )
    return html.card(
        "Which views, which parts",
        note,
        html.table(["Network", *MEASURES.values()], rows, row_classes=["lb-own" if arm == "full" else "" for arm in arms]),
        _difference(card),
    )


def _difference(card: Card) -> str:
    found = card.extra.get("differences", {}).get("level0")
    if not found:
        return ""
    return (
        f"<p>Section by section, the whole method is ahead of the spot alone on context genes by {number(found['value'])} "
        f"({number(found['low'])} to {number(found['high'])}, t over {found['sections']} sections of as many patients).</p>"
    )


def leakage(card: Card) -> str:
    """The same test spots with and without other sections of their patients in the training."""
    names = [name for name in MEASURES if f"slide/{name}" in card.metrics]
    if not names:
        return ""
    rows = [[html.text(SPLITS[split]), *(_cell(card.metrics.get(f"{split}/{name}"), None) for name in names)] for split in SPLITS]
    rows += [
        [html.text(f"{MEAN}, {split}"), *(_cell(card.metrics.get(f"{split}/{name}@mean"), None) for name in names)] for split in SPLITS
    ]
    words = "<p>The same spots are asked. In the second row another section of each test patient stood in the training, in place of as many others: as many sections, but known patients.</p>"
    return html.card("What a leaking split adds", words, html.table(["Training", *(MEASURES[name] for name in names)], rows))


def real(card: Card) -> str:
    """The HER2-positive sections, from the card alone: no weights of them ship, so nobody can compute them again here."""
    found = card.extra.get("real")
    if not found:
        return html.card(
            "Real sections", "<p>The real sections were not at hand when this card was made, so there is nothing to report.</p>"
        )
    columns = {"spot_pcc": "By spot", "gene_pcc": "By gene", "top": f"By gene, best {TOP}", "rmse": "Error, log(1+CPM)"}
    rows = [
        [html.text(VARIANTS[variant]), *(_real_cell(values.get(name)) for name in columns)] for variant, values in found["rows"].items()
    ]
    words = (
        f"<p>{html.text(found['title'])}: trained on {html.text(', '.join(found['train']))} ({found['n_train']} spots of one patient), tested on {html.text(' and '.join(found['test']))} "
        f"({found['n_test']} spots of another). {len(found['genes'])} genes by the paper's rule. Good models trained on dozens of patients reach 0.2 to 0.4 by gene "
        f"({html.badge('secondary')}). One training patient and one test patient show that the path works, not how well it would do elsewhere. "
        f"The best {TOP} genes are chosen on the test itself, which flatters. Licence of the files: {html.text(found['licence'])}; weights made from them are not shipped, so "
        "<code>models evaluate</code> cannot compute these numbers again; <code>models train m2ost</code> makes them anew where the files are.</p>"
    )
    best = ", ".join(f"{html.text(row['gene'])} {row['pcc']:.2f}" for row in found.get("best", []))
    return html.card(
        "Real sections", words, html.table(["Network", *columns.values()], rows), f"<p><small>Best predicted genes: {best}.</small></p>"
    )


def _best(card: Card, name: str, arms: list[str]) -> float | None:
    values = [card.metrics[key].value for arm in arms if (key := f"patient/{name}{_at(arm)}") in card.metrics]
    return (min(values) if name == "rmse" else max(values)) if values else None


def _at(arm: str) -> str:
    return "" if arm == "full" else f"@{arm}"


def _cell(metric: Metric | None, best: float | None) -> str:
    if metric is None:
        return "–"
    value = f"{metric.value:.3f}"
    shown = f'<span class="lb-best">{value}</span>' if best is not None and metric.value == best else value
    return shown if metric.n < 2 else f"{shown} <small>{metric.low:.3f} to {metric.high:.3f}</small>"


def _real_cell(found: dict[str, Any] | None) -> str:
    if not found:
        return "–"
    return f"{found['value']:.3f}" if found["n"] < 2 else f"{found['value']:.3f} <small>{found['low']:.3f} to {found['high']:.3f}</small>"
