"""The words of the Learn drawer: the lesson, what the paper leaves open, and the oracles as checks that run live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.parts import html

MATHS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]


def lesson(text: str) -> None:
    """A teacher's text in Markdown; formulas between dollar signs."""
    gr.Markdown(text, latex_delimiters=MATHS, elem_classes="lb-lesson", container=False)


def deviations(method: Method) -> None:
    """What the paper leaves open and what was decided, with how well each point is supported."""
    rows = [[html.text(d.point), html.text(d.decision), html.text(d.why), html.badge(d.evidence)] for d in method.deviations]
    table = (
        html.table(["Open point", "Here", "Why", "Support"], rows)
        .replace("<td>", '<td class="lb-wrap">')
        .replace('<th scope="row">', '<th scope="row" class="lb-wrap">')
        .replace('class="lb-table"', 'class="lb-table lb-stack"', 1)
    )
    html.show(html.card("What the paper leaves open, and what was decided", table))


def oracle_panel(method_id: str, checks: Callable[[], Sequence[Any]]) -> None:
    """A button that runs the method's equations, written out literally, against the real implementation, and a green or red line for each.

    checks: returns records with name, oracle, meaning, difference, tolerance, passed.
    """
    gr.Markdown("#### Live checks: the equations written out literally, against the code that trains", container=False)
    run = gr.Button("Run the checks now", elem_id=f"{method_id}_checks_run", scale=0)
    out = html.show("", elem_id=f"{method_id}_checks")
    run.click(
        lambda: _rows(checks()),
        None,
        out,
        api_name=f"{method_id}_checks",
        show_progress="minimal",
        concurrency_id="model",
        concurrency_limit=1,
    )


def _rows(results: Sequence[Any]) -> str:
    passed = sum(result.passed for result in results)
    verdict = f'<p class="{"lb-good" if passed == len(results) else "lb-bad"}">{passed} of {len(results)} checks agree.</p>'
    rows = [
        [
            f"{html.text(str(result.oracle))}. {html.text(result.name)}",
            f'<span class="lb-wrap">{html.text(result.meaning)}</span>',
            f"{result.difference:.1e}",
            f"{result.tolerance:.0e}",
            '<span class="lb-good">agrees</span>' if result.passed else '<span class="lb-bad">differs</span>',
        ]
        for result in results
    ]
    table = html.table(["Check", "What it means", "Largest difference", "Allowed", ""], rows).replace(
        '<td><span class="lb-wrap">', '<td class="lb-wrap"><span>'
    )
    return html.card("Result", verdict, table)
