"""Words with a bar under each: how attention is shared among them."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.parts import html

CSS = """
.lb-words { line-height: 2.4; margin: 4px 0; } .lb-words span { display: inline-block; padding: 0 3px; text-align: center; line-height: 1.25; vertical-align: top; }
.lb-words i { display: block; height: 5px; border-radius: 2px; background: var(--color-accent); opacity: calc(.12 + .88 * var(--s)); } .lb-words small { display: block; font-size: 11.5px; color: var(--body-text-color-subdued); }
"""
"""For the `css_template` of the component that shows them."""


def word_shares(words: Sequence[str], values: Sequence[float], *, top: float | None = None) -> str:
    """Markup; values: shares in 0…1, one a word. top: the share with the strongest bar; by default the largest."""
    most = max(max(map(float, values), default=0.0) if top is None else top, 1e-9)
    shown = " ".join(
        f'<span>{html.text(word)}<i style="--s:{float(v) / most:.2f}" aria-hidden="true"></i><small>{100 * float(v):.0f} %</small></span>'
        for word, v in zip(words, values, strict=True)
    )
    return f"<div class='lb-words'>{shown}</div>"
