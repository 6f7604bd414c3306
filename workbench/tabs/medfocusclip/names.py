"""What this tab calls things: modes and their colours, the same in every chart and panel; choices of the settings."""

from __future__ import annotations

from models.medfocusclip.options import MODES, Mode
from models.medfocusclip.study_plan import ARMS

OURS = "ours, not from the paper"
SHORT: dict[Mode, str] = {
    "plain": "Plain CLIP",
    "painted": "Painted",
    "binary": "White mask",
    "attention": "Guided attention",
    "blur": "Blurred around",
    "outline": "Outlined",
    "ellipse": "Circled",
    "crop": "Cut out",
    "grey_out": "Faded around",
}
COLOUR: dict[Mode, int] = {mode: place for place, mode in enumerate(MODES)}
WAYS_COLOUR = {arm.id: COLOUR[arm.mode] if arm.source == "automatic" or arm.mode != "painted" else len(COLOUR) for arm in ARMS.values()}
"""The studies' arms in the colours of their modes; painting true outlines has one of its own."""
FIRST_MODES: tuple[Mode, ...] = ("plain", "painted", "binary", "attention")
MODE_CHOICES = [(f"{SHORT[mode]} ({OURS})" if mode == "attention" else SHORT[mode], mode) for mode in MODES]

STEERED = {
    "all": "All layers",
    "last": "The last layer",
    "last_half": "The later half",
    "first_half": "The earlier half",
}
ROWS = [("The class token alone (it gives the answer)", "class"), ("Every token", "all")]


def steered_layers(choice: str, layers: int) -> tuple[int, ...] | None:
    """Which blocks a choice of `STEERED` means for a network of so many; None for all."""
    half = layers // 2
    return {"all": None, "last": (layers - 1,), "last_half": tuple(range(half, layers)), "first_half": tuple(range(half))}[choice]
