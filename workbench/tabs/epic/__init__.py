"""The EPIC tab: the shared note room with EPIC's words and networks."""

from workbench.note_room import drawers
from workbench.tabs.epic.words import ROOM

explore, compare, evidence, train, learn = drawers(ROOM)

__all__ = ["compare", "evidence", "explore", "learn", "train"]
