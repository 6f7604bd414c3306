"""Small pieces of safe HTML for the parts: every text that is not ours is escaped here, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import gradio as gr

BADGES = {
    "verified": "verified in a primary source",
    "derived": "derived and checked here",
    "secondary": "from a secondary source",
    "inferred": "our own decision",
}


_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "`$\\{}"}


def text(words: str) -> str:
    """Foreign text made safe for markup that Gradio shows: escaped as HTML, and also for the script template the markup passes through on its
    way, where a backtick or a dollar sign with braces could run as a program."""
    return escape(words).translate(_SIGNS)


def show(markup: str, **kwargs: object) -> gr.HTML:
    """A piece of markup made by the functions below; whatever came from elsewhere has gone through `text`."""
    return gr.HTML(markup, html_template="{{{value}}}", js_on_load=None, apply_default_css=False, padding=False, **kwargs)


def badge(evidence: str) -> str:
    """How well a statement is supported, as people see it."""
    return f'<span class="lb-badge" data-evidence="{text(evidence)}">{text(BADGES.get(evidence, evidence))}</span>'


def card(title: str, *inner: str) -> str:
    """A framed piece with a heading."""
    return f'<section class="lb-card"><h3>{text(title)}</h3>{"".join(inner)}</section>'


def bullets(sentences: Iterable[str]) -> str:
    """A list of plain sentences."""
    return "<ul>" + "".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "</ul>"


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, one line each; values are escaped."""
    return "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in rows) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, row_classes: Sequence[str] = ()) -> str:
    """A table whose cells are already safe markup; the first cell of a row is its heading."""
    body = []
    for index, row in enumerate(rows):
        name, *cells = row
        kind = f' class="{row_classes[index]}"' if index < len(row_classes) and row_classes[index] else ""
        body.append(f'<tr{kind}><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    heading = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    return f'<div class="lb-table" tabindex="0"><table><thead><tr>{heading}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
