"""How events are wired and refused, and what the drawers of one page share. One way for all rooms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import gradio as gr

EVENT = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "trigger_mode": "always_last",
}
"""How an event that asks a network is wired: one at a time on the whole server, the newest question last."""
QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""How an event that only moves controls is wired."""
OPENING = EVENT | {"concurrency_id": "pictures", "concurrency_limit": 2}
"""How another picture is opened: beside a network's answers."""


class Late(Exception):
    """The page has gone on to another picture since the event was sent; nothing is to be shown."""


@contextmanager
def spoken() -> Iterator[None]:
    """A refusal with a sentence for people (every one is a ValueError or a missing file) becomes Gradio's error."""
    try:
        yield
    except (ValueError, FileNotFoundError) as refused:
        raise gr.Error(str(refused), print_exception=False) from None


T = TypeVar("T")


class PerPage(Generic[T]):
    """What Explore laid out on a page, for its other drawers: they are laid out one after the other by functions that share nothing but the page."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[gr.Blocks, T] = WeakKeyDictionary()

    def keep(self, site: gr.Blocks, desk: T) -> None:
        """Remember it for the page being built."""
        self._kept[site] = desk

    def of(self, site: gr.Blocks) -> T:
        """That of the page; KeyError before Explore is laid out."""
        return self._kept[site]
