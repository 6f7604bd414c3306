"""The page: header, one tab a room with its five drawers, footer. Everything is built statically; the browser mounts a tab when it is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

import workbench
from workbench.catalogue import Room
from workbench.context import Context
from workbench.parts import html
from workbench.parts.theme import theme

__all__ = ["BUNDLE", "DRAWERS", "build_site", "bundle", "head", "theme"]

DRAWERS = ("Explore", "Compare", "Evidence", "Train", "Learn")
STYLES, BUNDLE = ("lightbox.css", "rooms.css", "slides.css", "genes.css"), "lightbox.js"
SCRIPTS = (
    "core.js",
    "controls.js",
    "plot.js",
    "race.js",
    "landscape.js",
    "heatmap.js",
    "stepcurve.js",
    "patchgrid.js",
    "charts.js",
    "trainboard.js",
    "noiseboard.js",
    "imageinput.js",
    "masks.js",
    "promptstate.js",
    "promptview.js",
    "promptcanvas.js",
    "lookpanels.js",
    "slidelink.js",
    "slidescale.js",
    "slidegeojson.js",
    "slidelayers.js",
    "slideregions.js",
    "slidedraw.js",
    "slideshot.js",
    "slidechrome.js",
    "slideview.js",
    "genemap.js",
    "genelist.js",
    "geneprofiles.js",
    "spotinspect.js",
    "pixelprobe.js",
)

_MARK = (
    '<svg viewBox="0 0 34 34" aria-hidden="true"><rect x="1" y="1" width="32" height="32" rx="7" fill="#171a1e"/>'
    '<rect x="6" y="6" width="22" height="22" rx="3" fill="#eef6fb"/><circle cx="17" cy="17" r="7" fill="#7fbbe0"/>'
    '<circle cx="19.4" cy="14.8" r="2.6" fill="#0f659c"/></svg>'
)
_SCHEME = "Lightbox.toggleScheme()"


def bundle(static: Path) -> bytes:
    """All scripts as one file, in their order: Gradio adds the head's tags while the page runs, and single scripts would race each other."""
    return b"\n".join((static / name).read_bytes() for name in SCRIPTS)


def head(static: Path) -> str:
    """Style sheets and script for the page's head; the hash in each address lets browsers keep a file for good.

    Style sheets are linked and not handed to Gradio, which rewrites selectors and loses some media rules.
    """
    styles = "".join(f'<link rel="stylesheet" href="lightbox/static/{name}?{_mark_of((static / name).read_bytes())}">' for name in STYLES)
    return (
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'{styles}<script src="lightbox/{BUNDLE}?{_mark_of(bundle(static))}"></script>'
    )


def _mark_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def build_site(context: Context, rooms: Sequence[Room]) -> gr.Blocks:
    """The Blocks of all rooms that work."""
    with gr.Blocks(title="Lightbox", fill_width=True, analytics_enabled=False, delete_cache=(context.settings.delete_cache_s,) * 2) as site:
        html.show(_header(), elem_id="lightbox_header")
        with gr.Tabs(elem_id="rooms"):
            for room in rooms:
                with gr.Tab(room.method.title, id=room.method.id, elem_id=f"room_{room.method.id}"):
                    _room(room, context, site)
        html.show(_footer(context.settings.keep_days))

        def closed(request: gr.Request) -> None:
            context.page_closed(request)

        site.unload(closed)
    site.queue(default_concurrency_limit=1, max_size=64)
    # Gradio refuses client-sent paths of files that were never uploaded only once it takes itself for launched, and a mounted site never does
    # by itself: without this, any text file of the server could be handed to an event by its path.
    site.has_launched = True
    site.state_session_capacity = context.settings.session_capacity
    return site


def _room(room: Room, context: Context, site: gr.Blocks) -> None:
    """The head of a room and its five drawers, in the order every room has."""
    method = room.method
    html.show(f'<div class="lb-room"><h2>{html.text(method.question)}</h2><p>{html.text(method.summary)}</p></div>')
    with gr.Tabs(elem_id=f"{method.id}_drawers"):
        for drawer in DRAWERS:
            with gr.Tab(drawer, id=f"{method.id}_{drawer.lower()}"):
                getattr(room.tab, drawer.lower())(method, context, site)


def _header() -> str:
    return (
        f'<header class="lb-head">{_MARK}<h1>Lightbox</h1><p>Published methods of medical vision and language, to touch and to compare.</p>'
        f'<span class="lb-research">Research use only</span><button type="button" onclick="{_SCHEME}">Dark / light</button></header>'
    )


def _footer(keep_days: float) -> str:
    return (
        f'<footer class="lb-foot">Lightbox {workbench.__version__}. Research use only: nothing here is a medical device or evidence about a patient. '
        f"The runs you start stay on this server, are shown to you alone and are deleted after {keep_days:g} days.</footer>"
    )
