"""The evidence card: what was measured on held-out data, beside the baselines, from the checkpoint's card and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from models.shared.checkpoints import Card, CheckpointRefused, Metric, read_card
from models.shared.method import Method
from workbench.parts import html

NO_PAPER_NUMBERS = "The paper's own tables could not be read, so none of its numbers is shown."
KINDS = {"real": "real data", "phantom": "phantoms, not patients"}


def evidence_drawer(
    method: Method, *, labels: Mapping[str, str], lower_is_better: tuple[str, ...] = (), paper_numbers: str = NO_PAPER_NUMBERS
) -> None:
    """Fill the current layout with the card of `method`, or with one sentence when there is none that can be trusted.

    labels: plain names for the tasks, measures and arms that stand in the metric names. lower_is_better: beginnings of the names of measures where small is good.
    """
    try:
        card = read_card(method.card)
    except (FileNotFoundError, CheckpointRefused) as why:
        html.show(
            html.card(
                "No evidence yet", f"<p>{html.text(str(why))}</p><p>Make it with <code>python -m models train {method.id}</code>.</p>"
            )
        )
        return
    tasks = _by_task(card)
    in_short = _in_short(method, tasks, labels, lower_is_better)
    html.show((html.card("In short", html.bullets(in_short)) if in_short else "") + _where_from(card), elem_id=f"{method.id}_evidence")
    for task, measures in tasks.items():
        title = f"{labels.get(task, task)} ({_kind(measures)})"
        html.show(html.card(title, _task_table(measures, labels, lower_is_better), _footnote(measures)))
    if card.loses:
        html.show(html.card(f"Where {method.title} does not win", html.bullets(card.loses)))
    html.show(
        html.card("The paper's own numbers", f"<p>{html.text(paper_numbers)}</p>", f"<p><small>{html.text(_citation(method))}</small></p>")
    )
    with gr.Accordion("How these numbers were made, and how to make them again", open=False):
        html.show(_how_made(method, card))


def _by_task(card: Card) -> dict[str, dict[str, dict[str, Metric]]]:
    """Metrics as task → arm → measure → value, in the order of the card; the method's own arm is ''."""
    tasks: dict[str, dict[str, dict[str, Metric]]] = {}
    for name, metric in card.metrics.items():
        plain, _, arm = name.partition("@")
        task, _, measure = plain.rpartition("/")
        tasks.setdefault(task, {}).setdefault(arm, {})[measure] = metric
    return tasks


def _in_short(method: Method, tasks: dict[str, Any], labels: Mapping[str, str], lower: tuple[str, ...]) -> list[str]:
    """One sentence for each measure that every arm of a task has: how often the method is best, and how often a rival is clearly better."""
    sentences = []
    for measure in dict.fromkeys(measure for arms in tasks.values() for measure in arms.get("", {})):
        compared = [arms for arms in tasks.values() if "" in arms and len(arms) > 1 and all(measure in values for values in arms.values())]
        if not compared:
            continue
        sign = -1 if measure.startswith(lower) else 1
        first = sum(all(sign * arms[""][measure].value >= sign * values[measure].value for values in arms.values()) for arms in compared)
        beaten = sum(any(_clearly_better(values[measure], arms[""][measure], sign) for values in arms.values()) for arms in compared)
        name = labels.get(measure, measure.replace("_", " "))
        sentences.append(
            f"{name}: {method.title} has the best value on {first} of {len(compared)} tasks; on {beaten} a rival is better with intervals apart."
        )
    return sentences


def _clearly_better(rival: Metric, own: Metric, sign: int) -> bool:
    return rival.low > own.high if sign > 0 else rival.high < own.low


def _task_table(arms: dict[str, dict[str, Metric]], labels: Mapping[str, str], lower: tuple[str, ...]) -> str:
    measures = list(dict.fromkeys(measure for values in arms.values() for measure in values))
    best = {
        measure: _best([values[measure].value for values in arms.values() if measure in values], measure.startswith(lower))
        for measure in measures
    }
    head = ["Method" if len(arms) > 1 else "", *(_heading(measure, arms, labels) for measure in measures)]
    order = sorted(arms, key=lambda arm: arm != "")
    rows = [[html.text(labels.get(arm, arm)), *(_cell(arms[arm].get(measure), best[measure]) for measure in measures)] for arm in order]
    return html.table(head, rows, row_classes=["lb-own" if arm == "" else "" for arm in order])


def _heading(measure: str, arms: dict[str, dict[str, Metric]], labels: Mapping[str, str]) -> str:
    unit = next(values[measure].unit for values in arms.values() if measure in values)
    name = labels.get(measure, measure.replace("_", " "))
    return f"{name} ({unit})" if unit and unit not in name else name


def _best(values: list[float], lower: bool) -> float:
    return (min if lower else max)(values)


def _cell(metric: Metric | None, best: float) -> str:
    if metric is None:
        return "–"
    show = "{:g}".format if metric.unit == "steps" else number
    value = f'<span class="lb-best">{show(metric.value)}</span>' if metric.value == best else show(metric.value)
    span = "" if metric.low == metric.high else f" <small>{show(metric.low)} to {show(metric.high)}</small>"
    return value + span


def number(value: float) -> str:
    """Three significant digits, four from 0.1 to 10 where shares lie, all before the decimal point, a true minus sign."""
    if value == 0:
        return "0"
    digits = 4 if 0.1 <= abs(value) < 10 else 3
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.2e}".replace("-", "−")
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value: 9.9996 is shown as 10.00
    decimals = max(0, digits - 1 - exponent)
    return f"{value:,.{decimals}f}".replace("-", "−")


def _footnote(arms: dict[str, dict[str, Metric]]) -> str:
    metrics = [metric for values in arms.values() for metric in values.values()]
    ways = "; ".join(dict.fromkeys(_way(metric.interval) for metric in metrics if metric.low < metric.high))
    counts = sorted({metric.n for metric in metrics})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    small = f"Small figures: {html.text(ways)}; " if ways else ""
    return f"<p><small>{small}{n}. Bold: best of the column, whether or not the intervals overlap.</small></p>"


def _way(interval: str) -> str:
    """How an interval was made, as people read it. The range of a few runs covers no 95 %, so it is not called so."""
    return interval if interval.startswith("range") else f"95 % interval ({interval})"


def _kind(arms: dict[str, dict[str, Metric]]) -> str:
    """What the numbers of a task were measured on; phantoms are named also where they stand beside real data."""
    kinds = {metric.kind for values in arms.values() for metric in values.values()}
    return "; ".join(words for kind, words in KINDS.items() if kind in kinds)


def _where_from(card: Card) -> str:
    sets = "; ".join(
        f"{use.title} ({KINDS[use.kind]}, {use.n_train} train, {use.n_validation} validation, {use.n_test} test, {use.licence})"
        for use in card.datasets
    )
    return html.card(
        "What was measured",
        f"<p>{html.text(card.notes)}</p>" if card.notes else "",
        f"<p>Held-out results of the shipped checkpoint on: {html.text(sets)}. Research use only; nothing here is evidence about patients.</p>",
    )


def _how_made(method: Method, card: Card) -> str:
    rows = [
        ("Made with", card.recipe),
        ("Check it with", f"python -m models evaluate {method.id}"),
        ("Seed", str(card.seed)),
        ("Time", f"{card.seconds / 60:.1f} min on {card.hardware}"),
        ("Weights", f"{card.parameters:,} ({card.trained_parameters:,} trained)"),
        ("Date and version", f"{card.created}, Lightbox {card.version}"),
        ("sha256", card.sha256),
    ]
    made = html.card("The run", html.pairs(rows))
    return made + "".join(
        html.card(use.title, html.pairs([("Licence", use.licence), ("Note", use.note)])) for use in card.datasets if use.note
    )


def _citation(method: Method) -> str:
    paper = method.paper
    return f"{', '.join(paper.authors)}: {paper.title}. {paper.venue}, {paper.year}, arXiv {paper.arxiv}. Read: {paper.read}"
