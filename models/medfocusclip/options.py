"""What can be chosen, and the words for it. Light: importing this loads neither PyTorch nor SciPy.

Modes are ways to tell CLIP where to look. "plain" is the baseline; "painted" is the paper's; "binary" is the paper's ablation; "attention" is
ours and not from the paper (spec: relatives are Alpha-CLIP, FALIP, MaskCLIP, PASTA); the rest are prompts known from other work: the blurred
surroundings are FGVP's (arXiv 2306.04356), the drawn ellipse is that of arXiv 2304.06712.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Mode = Literal["plain", "painted", "binary", "attention", "blur", "outline", "ellipse", "crop", "grey_out"]
Palette = Literal["random", "by_area", "by_intensity"]
Rows = Literal["class", "all"]
FocusRule = Literal["all", "text", "largest", "smallest"]

MODES: MappingProxyType[Mode, str] = MappingProxyType(
    {
        "plain": "The scan as it is (plain CLIP)",
        "painted": "Segments painted in colours (the paper's way)",
        "binary": "White region on black, the scan itself gone (the paper's ablation)",
        "attention": "Attention turned towards the region (ours, not from the paper)",
        "blur": "Surroundings blurred",
        "outline": "Region outlined",
        "ellipse": "Region circled",
        "crop": "Cut down to the region",
        "grey_out": "Surroundings faded to grey",
    }
)
PALETTES: MappingProxyType[Palette, str] = MappingProxyType(
    {
        "random": "Random colours, drawn from the picture's own hash",
        "by_area": "Fixed colours, from the largest segment to the smallest",
        "by_intensity": "Colour from each segment's mean brightness",
    }
)
FOCUS_RULES: MappingProxyType[FocusRule, str] = MappingProxyType(
    {
        "all": "Every segment that is not background",
        "text": "The segment whose patches agree best with one of the texts",
        "largest": "The largest segment that is not background",
        "smallest": "The smallest segment that is not background",
    }
)
TEMPLATE = "This is a photo of {class}"
"""The prompt read off the paper's figure."""
WARNING = (
    "Research demonstration, not a medical device. Segments are not verified anatomy: the segmenter outlines what stands out, which may be burnt-in "
    "text, a marker or nothing of meaning. A change in a probability says what this network reacts to, not what a patient has."
)
"""Fixed text that stands wherever a result of this room is shown."""
MAX_CLASSES = 20


class OptionRefused(ValueError):
    """A setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class Guidance:
    """How strongly attention is turned towards the region (attention mode; ours, not from the paper)."""

    beta: float = 1.0
    """0 leaves CLIP untouched, 1 multiplies its attention by the region, large values allow nothing outside."""
    epsilon: float = 1e-2
    """What is left of the attention outside the region at beta 1, above 0 and at most 1."""
    layers: tuple[int, ...] | None = None
    """Blocks that are steered, from 0 or backwards from -1; None steers all."""
    rows: Rows = "class"
    """Who is steered: the class token alone, or every token."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise OptionRefused(f"The strength beta is {self.beta}; it must be 0 (no change) or more.")
        if not (math.isfinite(self.epsilon) and 0 < self.epsilon <= 1):
            raise OptionRefused(f"The floor epsilon is {self.epsilon}; it must lie above 0 and not above 1.")
        if self.rows not in ("class", "all"):
            raise OptionRefused(f"Attention rows {self.rows!r} are not known; choose class or all.")


@dataclass(frozen=True)
class Painting:
    """How segments are painted on the scan."""

    alpha: float = 0.5
    """0 shows the scan alone, 1 colours alone."""
    palette: Palette = "random"
    contour: bool = False
    """A line of one pixel around each segment, blended at 0.4."""
    seed: int | None = None
    """For random colours; None takes the picture's own hash, so that a picture always has the same colours."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and 0 <= self.alpha <= 1):
            raise OptionRefused(f"The opacity alpha is {self.alpha}; it must lie between 0 and 1.")
        if self.palette not in PALETTES:
            raise OptionRefused(f"There is no palette {self.palette!r}; choose one of {', '.join(PALETTES)}.")
        if self.seed is not None and self.seed < 0:
            raise OptionRefused(f"The colour seed is {self.seed}; it must be 0 or more.")


ZERO_SHOT = "zero-shot"


@dataclass(frozen=True)
class Options:
    """Everything that can be set for one classification."""

    modes: tuple[Mode, ...] = ("plain", "painted", "binary", "attention")
    painting: Painting = field(default_factory=Painting)
    guidance: Guidance = field(default_factory=Guidance)
    focus: tuple[int, ...] | None = None
    """Numbers of the segments that make the region; None lets `focus_rule` choose."""
    focus_rule: FocusRule = "all"
    head: str = ZERO_SHOT
    """"zero-shot" for the classes below with the chosen CLIP, or the name of a trained head (`wrapper.heads`)."""
    weights: Path | None = None
    """File of an own training, in which `head` is looked for; None for the shipped heads."""
    classes: tuple[str, ...] = ()
    """Class names for zero-shot; a trained head has its own."""
    template: str = TEMPLATE
    """Holds "{class}" once; for zero-shot, since a trained head keeps the one it was trained with."""
    hide_text: bool = False
    """Paint over burnt-in letters before anything else."""

    def __post_init__(self) -> None:
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise OptionRefused(f"There is no mode {', '.join(map(repr, unknown)) or 'chosen'}; choose from {', '.join(MODES)}.")
        if self.focus_rule not in FOCUS_RULES:
            raise OptionRefused(f"There is no rule {self.focus_rule!r} for the region; choose one of {', '.join(FOCUS_RULES)}.")
        if self.template.count("{class}") != 1 or len(self.template) > 200:
            raise OptionRefused("The text template must hold {class} once, where the class name goes, and have at most 200 letters.")
        if self.head == ZERO_SHOT:
            check_classes(self.classes)


def check_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The class names, if they can be told apart; OptionRefused otherwise."""
    names = [name.strip() for name in classes]
    if not 2 <= len(names) <= MAX_CLASSES or not all(names) or max(map(len, names)) > 100:
        raise OptionRefused(f"Give 2 to {MAX_CLASSES} class names, none of them empty or longer than 100 letters.")
    if len({name.lower() for name in names}) < len(names):
        raise OptionRefused("Two class names are the same; give each class its own name.")
    return classes


def prompts(classes: tuple[str, ...], template: str = TEMPLATE) -> tuple[str, ...]:
    """The text of each class."""
    return tuple(template.replace("{class}", name.strip()) for name in classes)
