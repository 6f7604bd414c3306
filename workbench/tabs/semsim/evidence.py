"""Evidence: the room's ladder at every number of labels, why the printed equations keep nothing, real pictures apart, and the whole card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from models.semsim.plan import FIXMATCH, LITERAL, OWN, SUPERVISED
from models.shared.checkpoints import Card
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.semsim.explore import card_of
from workbench.tabs.semsim.names import LOWER, SHORT, labels

LADDER = ((OWN, FIXMATCH), (FIXMATCH, SUPERVISED))
PAPER = "They stand in a table of their own above: other pictures and other sizes than ours."
KEPT = {"kept_u": "its own answer", "kept_intra": "within the image", "kept_cross": "across images"}


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    card = card_of(method)
    counts: dict[str, list[int]] = {}
    if card is not None:
        counts = {task: [level["labelled"] for level in facts["levels"].values()] for task, facts in card.extra["tasks"].items()}
        html.show(ladder(card), elem_id="semsim_found")
        html.show(kept(card), elem_id="semsim_kept")
        html.show(real(card), elem_id="semsim_real")
        html.show(paper_table(card), elem_id="semsim_paper")
    evidence_drawer(method, labels=labels(counts), lower_is_better=LOWER, paper_numbers=PAPER)


def ladder(card: Card) -> str:
    """SemSim against FixMatch against labelled slices alone, step by step, and whether the room's claim holds at the fewest labels."""
    steps = [one for one in card.extra["gains"] if (one["arm"], one["against"]) in LADDER]
    rows = [
        [
            f"{one['labelled']} labelled",
            f"{SHORT[one['arm']]} less {SHORT[one['against']]}",
            f"<b>{signed(one['value'])}</b> <small>{signed(one['low'])} to {signed(one['high'])}</small>",
            f"{', '.join(signed(v) for v in one['seeds']['values'])} <small>{signed(one['seeds']['low'])} to {signed(one['seeds']['high'])}</small>",
            html.text(one["verdict"]),
        ]
        for one in steps
    ]
    head = ["Labels", "Difference of", "Dice, over test slices", "Each training, and over trainings", "Says"]
    note = (
        "<p><small>Small figures: 95 % intervals. Over test slices: other slices like these. Over trainings: other choices of the labelled slices; with three "
        "trainings that interval is wide. “Better” or “worse” is said only where both leave 0 out. All of it on made-up heart slices.</small></p>"
    )
    return html.card("Does SemSim beat FixMatch, and FixMatch the labels alone?", claim(card), html.table(head, rows), note)


def claim(card: Card) -> str:
    """One paragraph on the claim at the fewest labels, from the numbers."""
    fewest = min((one["labelled"] for one in card.extra["gains"]), default=0)
    at = {(one["arm"], one["against"]): one for one in card.extra["gains"] if one["labelled"] == fewest}
    if not all(pair in at for pair in LADDER):
        return ""
    first, second = (at[pair] for pair in LADDER)
    words = {"better": "is clearly above", "worse": "is clearly below", "no difference shown": "shows no difference to"}
    said = (
        f"With the fewest labels ({fewest}) SemSim {words[first['verdict']]} FixMatch ({signed(first['value'])}), and FixMatch {words[second['verdict']]} "
        f"training on the labelled slices alone ({signed(second['value'])})."
    )
    if first["verdict"] == second["verdict"] == "better":
        tail = " The order that the paper reports holds here."
    elif first["value"] >= 0 and second["value"] >= 0:
        tail = f" The means stand in the order that the paper reports; {len(first['seeds']['values'])} trainings are too few to show it."
    else:
        tail = " The order that the paper reports does <b>not</b> hold here."
    return f"<p>{said}{tail}</p>"


def kept(card: Card) -> str:
    """Shares of pixels that tau kept, with and without a temperature."""
    rows = {one["arm"]: one for one in reversed(card.extra["table"]) if one["arm"] in (OWN, LITERAL) and set(KEPT) <= set(one["curve"])}
    if LITERAL not in rows or OWN not in rows:
        return ""
    lines = [
        [
            html.text(SHORT[arm]),
            *(_run(rows[arm]["curve"][name]) for name in KEPT),
            f"{sum(rows[arm]['dice'].values()) / len(rows[arm]['dice']):.3f}",
        ]
        for arm in (OWN, LITERAL)
    ]
    most = max(rows[LITERAL]["curve"]["kept_cross"])
    count = rows[LITERAL]["labelled"]
    told = (
        "in no step of the training did a single pixel pass tau, so the cross-image loss never taught anything"
        if most == 0
        else f"at most {100 * most:.1f} % of the pixels passed tau"
    )
    text = (
        f"<p>The paper's equations have no temperature. Taken as printed, {told}. The table gives the share of pixels that tau kept in each of the three "
        f"losses, early and at the end of the training, mean of the trainings with {count} labelled slice{'s' * (count > 1)}.</p>"
    )
    head = ["", *(f"Kept, {words}" for words in KEPT.values()), "Dice"]
    return html.card("Why the printed equations leave the mask empty", text, html.table(head, lines))


def _run(values: Sequence[float]) -> str:
    tenth = max(1, len(values) // 10)
    early, late = sum(values[:tenth]) / tenth, sum(values[-tenth:]) / tenth
    return f"{100 * early:.0f} % → {100 * late:.0f} %"


def real(card: Card) -> str:
    """What was measured on real pictures, with licence and n; these networks do not ship."""
    return "".join(_real(one) for one in card.extra.get("real", {}).values())


def _real(one: Mapping[str, Any]) -> str:
    cells: dict[tuple[str, int], Mapping[str, Any]] = {}
    for name, metric in one["metrics"].items():
        plain, _, arm = name.partition("@")
        task, _, measure = plain.partition("/")
        if measure == "dice":
            cells[arm or OWN, int("".join(c for c in task if c.isdigit()))] = metric
    counts = sorted({count for _, count in cells})
    arms = [arm for arm in SHORT if any((arm, count) in cells for count in counts)]
    rows = [
        [html.text(SHORT[arm])]
        + [
            f"{m['value']:.3f} <small>{m['low']:.3f} to {m['high']:.3f}</small>" if (m := cells.get((arm, count))) else "–"
            for count in counts
        ]
        for arm in arms
    ]
    head = ["Dice, held out", *(f"{count} of {one['n_train']} labelled ({100 * count / one['n_train']:.0f} %)" for count in counts)]
    note = (
        f"<p><small>{html.text(one['title'])}. Licence: {html.text(one['licence'])}. n = {one['n_test']} held-out pictures, {one['seeds']} trainings; pictures of "
        f"{one['side']} pixels a side. {html.text(one['note'])} These weights do not ship.</small></p>"
    )
    return html.card("Real data: skin lesions", html.table(head, rows), html.bullets(one["findings"]), note)


def paper_table(card: Card) -> str:
    """The paper's own numbers, apart from ours."""
    head = ["", "Labels alone", "FixMatch", "SemSim"]
    rows = [
        [html.text(f"{row['data']} ({row['measure']})"), *(f"{row[name]:.3f}" for name in ("supervised", "fixmatch", "semsim"))]
        for row in card.extra["paper"]["rows"]
    ]
    note = f"<p><small>{html.text(card.extra['paper']['source'])}</small></p>"
    return html.card("For comparison only: what the paper reports", html.table(head, rows), note)


def signed(value: float) -> str:
    """ "+0.012", with a true minus sign."""
    return f"{value:+.3f}".replace("-", "−")
