"""What this tab calls things: modes and their colours, the same in every chart and panel; choices of the settings."""

from __future__ import annotations

from models.medfocusclip.options import MODES, Mode

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
FIRST_MODES: tuple[Mode, ...] = ("plain", "painted", "binary", "attention")
MODE_CHOICES = [(f"{SHORT[mode]} ({OURS})" if mode == "attention" else SHORT[mode], mode) for mode in MODES]

STEERED = {
    "all": "All layers",
    "last": "The last layer",
    "last_half": "The later half",
    "first_half": "The earlier half",
}
ROWS = [("The class token alone (it gives the answer)", "class"), ("Every token", "all")]
SEGMENTERS = {
    "auto": "The best that is here",
    "small": "Small SAM 2 (256 px), ships with the program",
    "sam2_hiera_tiny": "SAM 2 Hiera-Tiny (512 px), published weights",
    "classical": "Region growing without a network",
}
SOURCES = {
    "sam2": "by SAM 2",
    "classical": "by region growing, without a network",
    "user": "by hand",
    "truth": "true outline of the phantom",
}


def steered_layers(choice: str, layers: int) -> tuple[int, ...] | None:
    """Which blocks a choice of `STEERED` means for a network of so many; None for all."""
    half = layers // 2
    return {"all": None, "last": (layers - 1,), "last_half": tuple(range(half, layers)), "first_half": tuple(range(half))}[choice]
