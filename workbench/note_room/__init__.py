"""The tab that EPIC and MITP share: a picture, a note beside it, and the ladder of layers where prompts carry word between them.

One engine, one tab; a room gives its record, its words and its networks (`NoteRoom`), and `drawers` makes the five drawers of it. It stands beside the tabs
and not among them, as a tab never imports another.
"""

from workbench.note_room.drawers import Drawers, drawers
from workbench.note_room.room import NoteRoom

__all__ = ["Drawers", "NoteRoom", "drawers"]
