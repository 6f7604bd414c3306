"""What the drawers of one page share while it is being laid out: the same picture and the same question, made in Explore.

The record is kept on the page's own Blocks and lives as long as that; nothing of a visitor's is in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from workbench.parts.image_input import ImageInput
from workbench.tabs.promim.controls import Controls
from workbench.tabs.promim.desk import Desk

_PLACE = "promim_scene"


@dataclass(frozen=True)
class Scene:
    """The picture's State (`source.shown`), the question's controls, and who answers."""

    desk: Desk
    source: ImageInput
    controls: Controls
    grid: gr.HTML


def put(site: gr.Blocks, scene: Scene) -> None:
    """Keep the scene for the drawers that are laid out after Explore."""
    setattr(site, _PLACE, scene)


def scene_of(site: gr.Blocks) -> Scene:
    """The scene that Explore has made."""
    return getattr(site, _PLACE)
