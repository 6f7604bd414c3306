"""Settings of the engine, checked. Loads no PyTorch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal


class ConfigRefused(ValueError):
    """Settings that make no network; the text is the sentence people see."""


Direction = Literal["both", "to_text", "to_vision", "off"]
Similarity = Literal["cross", "joint", "joint_masked", "pairwise", "uniform", "random"]


@dataclass(frozen=True)
class Config:
    """N prompts at the last layers of both towers, compared by the cosine of each own prompt with each foreign one."""

    prompts: int = 4
    """N; 0: no prompts at all, a linear head on the frozen features."""
    rungs: int = 3
    """Text layers, from the last one backwards, at which prompts enter; each is paired with a vision layer."""
    direction: Direction = "both"
    similarity: Similarity = "cross"
    tau: float = 0.1
    beta: float = 1.0
    activate: Literal["identity", "gelu"] = "identity"
    classes: int = 3

    def __post_init__(self) -> None:
        if self.prompts < 0 or self.rungs < 1 or self.classes < 2 or self.tau <= 0:
            raise ConfigRefused("Prompts are 0 or more, rungs at least 1, classes at least 2, and the temperature is above 0.")
        if self.direction not in ("both", "to_text", "to_vision", "off"):
            raise ConfigRefused("The hub works both ways, to_text, to_vision, or is off.")
        if self.similarity not in ("cross", "joint", "joint_masked", "pairwise", "uniform", "random"):
            raise ConfigRefused("The similarity is cross, joint, joint_masked, pairwise, uniform or random.")

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def pairs(vision_layers: int, text_layers: int, rungs: int) -> list[tuple[int, int]]:
    """(vision layer, text layer) of every rung, from 0: the last `rungs` text layers, each with the vision layer at the same share of the depth.

    Towers of equal depth pair one to one; with 24 and 12 layers text layer j meets vision layer 2j + 1. ConfigRefused for more rungs than layers.
    """
    if not 1 <= rungs <= min(vision_layers, text_layers):
        raise ConfigRefused(
            f"Towers of {vision_layers} and {text_layers} layers have room for 1 to {min(vision_layers, text_layers)} rungs, not {rungs}."
        )
    return [(math.ceil((j + 1) * vision_layers / text_layers) - 1, j) for j in range(text_layers - rungs, text_layers)]
