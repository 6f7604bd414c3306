"""Whole slides on the server: whose they are, what is known of them, and their tiles.

The store is `workbench.slides.store.Slides`, `context.slides` for every tab. A slide that comes in is first opened in a process of its own with
limits (`probe`); the server itself opens only what passed there.
"""

from models.shared.slides import SlideRefused
from workbench.slides.facts import Facts, SlideGone
from workbench.slides.store import Slides

__all__ = ["Facts", "SlideGone", "SlideRefused", "Slides"]
