"""The five drawers of a room, in the form the page asks a tab for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.note_room import compare, evidence, explore, learn, train
from workbench.note_room.room import NoteRoom

Drawer = Callable[[Method, Context, gr.Blocks], None]


class Drawers(NamedTuple):
    """What a tab's module offers."""

    explore: Drawer
    compare: Drawer
    evidence: Drawer
    train: Drawer
    learn: Drawer


def drawers(room: NoteRoom) -> Drawers:
    """Each takes (method, context, site) and fills the current layout."""
    made = (explore.explore, compare.compare, evidence.evidence, train.train, learn.learn)
    return Drawers(*(partial(_drawer, one, room) for one in made))


def _drawer(lay: Callable[[NoteRoom, Context, gr.Blocks], None], room: NoteRoom, method: Method, context: Context, site: gr.Blocks) -> None:
    lay(room, context, site)
