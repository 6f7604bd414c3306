"""The five ways to make a class description that stand side by side; they differ in these flags alone. Loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Arm:
    """One way."""

    id: str
    title: str
    learned: bool
    """The context words are learned vectors."""
    conditional: bool
    """They are shifted by what the meta-net makes of the picture."""
    masked: bool
    """The meta-net sees only some patches of it."""
    anchored: bool
    """Training pulls the class texts towards the hand-written ones (L_kg)."""
    about: str
    """What it does, in one sentence for people."""


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        arm.id: arm
        for arm in (
            Arm("clip", "CLIP, hand-written", False, False, False, False, "Compares the picture with a sentence that a person wrote."),
            Arm("coop", "CoOp", True, False, False, False, "Learns the words before the class name, the same for every picture."),
            Arm("cocoop", "CoCoOp", True, True, False, False, "Shifts the learned words by what it sees in the whole picture."),
            Arm("kgcoop", "KgCoOp", True, False, False, True, "Learns the words, but is held near the hand-written sentence."),
            Arm("promim", "ProMIM", True, True, True, True, "Shifts the learned words by what it sees in the patches left to it."),
        )
    }
)
