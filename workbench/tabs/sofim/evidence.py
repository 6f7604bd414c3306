"""Evidence: the committed study over seeds and a fair grid, including where SOFIM loses."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.evidence import evidence_drawer
from workbench.tabs.sofim.names import labels


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    evidence_drawer(
        method, labels=labels(), lower_is_better=("test_loss", "train_loss", "steps_to_target", "seconds_to_target", "diverged")
    )
