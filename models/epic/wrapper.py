"""What the screen calls; the work is the engine's (`models.shared.prompt_interaction.seeing`).

predictor = load_predictor("full")
answer = predictor.answer(predictor.prepare(picture), "brain MR: one small bright tumour on the left side")
"""

from __future__ import annotations

from pathlib import Path

from models.epic.record import METHOD
from models.shared.prompt_interaction import seeing
from models.shared.prompt_interaction.plan import OWN
from models.shared.prompt_interaction.seeing import Predictor


def load_predictor(arm: str = OWN, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained network of an arm: the shipped one, or that of `path`. FileNotFoundError, CheckpointRefused or NoteRefused with a sentence."""
    return seeing.load_predictor(Path(path or METHOD.checkpoint), arm, device=device)
