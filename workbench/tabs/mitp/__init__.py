"""The MITP tab: the shared note room with MITP's words and networks."""

from workbench.note_room import drawers
from workbench.tabs.mitp.words import ROOM

explore, compare, evidence, train, learn = drawers(ROOM)

__all__ = ["compare", "evidence", "explore", "learn", "train"]
