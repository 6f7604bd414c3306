"""The evidence card: what was measured on held-out data, beside the baselines, from the checkpoint's card and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from models.shared.checkpoints import Card, CheckpointRefused, Metric, read_card
from models.shared.method import Method
from workbench.parts import html

NO_PAPER_NUMBERS = "The paper's own tables could not be read, so none of its numbers is shown."


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
            html.card("No evidence yet", f"<p>{escape(str(why))}</p><p>Make it with <code>python -m models train {method.id}</code>.</p>")
        )
        return
    tasks = _by_task(card)
    html.show(
        html.card("In short", html.bullets(_in_short(method, tasks, labels, lower_is_better))) + _where_from(card),
        elem_id=f"{method.id}_evidence",
    )
    for task, measures in tasks.items():
        title = f"{labels.get(task, task)} ({_kind(card, task)})"
        html.show(html.card(title, _task_table(measures, labels, lower_is_better), _footnote(measures)))
    if card.loses:
        html.show(html.card(f"Where {method.title} does not win", html.bullets(card.loses)))
    html.show(html.card("The paper's own numbers", f"<p>{escape(paper_numbers)}</p>", f"<p><small>{escape(_citation(method))}</small></p>"))
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
        compared = [arms for arms in tasks.values() if len(arms) > 1 and all(measure in values for values in arms.values())]
        if not compared:
            continue
        sign = -1 if measure.startswith(lower) else 1
        first = sum(all(sign * arms[""][measure].value >= sign * values[measure].value for values in arms.values()) for arms in compared)
        beaten = sum(any(_clearly_better(values[measure], arms[""][measure], sign) for values in arms.values()) for arms in compared)
        name = labels.get(measure, measure.replace("_", " "))
        sentences.append(
            f"{name}: {method.title} has the best mean on {first} of {len(compared)} tasks; on {beaten} a rival is better with 95 % intervals apart."
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
    head = ["Optimiser" if len(arms) > 1 else "", *(_heading(measure, arms, labels) for measure in measures)]
    order = sorted(arms, key=lambda arm: arm != "")
    rows = [[escape(labels.get(arm, arm)), *(_cell(arms[arm].get(measure), best[measure]) for measure in measures)] for arm in order]
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
    """Three significant digits, four for shares near one, a true minus sign."""
    if value == 0:
        return "0"
    digits = 4 if 0.1 <= abs(value) < 10 else 3
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.2e}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace("-", "−")


def _footnote(arms: dict[str, dict[str, Metric]]) -> str:
    metrics = [metric for values in arms.values() for metric in values.values()]
    ways = ", ".join(dict.fromkeys(metric.interval for metric in metrics if metric.interval))
    counts = sorted({metric.n for metric in metrics})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    return f"<p><small>Small figures: 95 % interval ({escape(ways)}); {n}. Bold: best of the column, whether or not the intervals overlap.</small></p>"


def _kind(card: Card, task: str) -> str:
    kinds = {metric.kind for name, metric in card.metrics.items() if name.startswith(f"{task}/")}
    return "phantoms, not patients" if kinds == {"phantom"} else "real data"


def _where_from(card: Card) -> str:
    sets = "; ".join(
        f"{use.title} ({use.n_train} train, {use.n_validation} validation, {use.n_test} test, {use.licence})" for use in card.datasets
    )
    return html.card(
        "What was measured",
        f"<p>{escape(card.notes)}</p>" if card.notes else "",
        f"<p>Held-out results of the shipped checkpoint on: {escape(sets)}. Research use only; nothing here is evidence about patients.</p>",
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
