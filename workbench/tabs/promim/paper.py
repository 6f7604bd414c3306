"""The papers' own numbers as markup, apart from ours and each with how it is known."""

from __future__ import annotations

from models.promim.paper import BASE_TO_NEW, NOTES, Told
from workbench.parts import html

IN_SHORT = "They stand in a table of their own below: photographs, another CLIP (ViT-B/16, 150 million weights), not comparable with ours."
_WORDS = "Average over the eleven public sets of photographs of the base-to-new protocol, ViT-B/16, 16 pictures a class, per cent. None of them is a medical set."


def table() -> str:
    """A card with the table of the papers' averages and their further results."""
    rows = [[html.text(row.method), _told(row.base), _told(row.new), _told(row.h), html.text(row.source)] for row in BASE_TO_NEW]
    numbers = html.table(["As published", "Base", "New", "H", "Read in"], rows)
    notes = "".join(f"<li>{html.text(note.what)} {html.badge(note.evidence)}</li>" for note in NOTES)
    return html.card("As published: base-to-new, with sources", f"<p>{html.text(_WORDS)}</p>", numbers, f"<ul>{notes}</ul>")


def _told(told: Told | None) -> str:
    return "" if told is None else f"{told.value:.2f} {html.badge(told.evidence)}"
