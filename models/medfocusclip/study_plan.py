"""The two studies as data: which pictures, which arms, how training goes. Light: no PyTorch.

A study task is one set of pictures; an arm is one way of telling CLIP where to look, trained and tested in that way; a run is an arm, a share of the training
pictures and a seed. All arms of a task train alike (spec §5.5): same weights to start from, same pictures, same batches, same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.medfocusclip.options import Guidance, Mode, Painting

Source = Literal["automatic", "truth"]


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One way of telling CLIP where to look."""

    id: str
    label: str
    mode: Mode
    source: Source = "automatic"
    """Whose segments: the task's automatic ones, or a phantom's true outlines."""
    painting: Painting = field(default_factory=Painting)
    guidance: Guidance = field(default_factory=Guidance)


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm("plain", "plain CLIP, trained the same way", "plain"),
        Arm("painted", "segments painted (the paper's way)", "painted"),
        Arm("binary", "white region on black", "binary"),
        Arm("attention", "attention guided to the outlined organ (ours)", "attention", "truth", guidance=Guidance(beta=4.0, rows="all")),
        Arm("painted_truth", "true outlines painted, an upper bound", "painted", "truth"),
    )
}


@dataclass(frozen=True)
class Training:
    """How one run trains."""

    blocks: int = 1
    """Blocks of the image tower that train, from the last; final norm and projection always do."""
    lr: float = 3e-4
    weight_decay: float = 0.05
    batch: int = 32
    epochs: float = 30.0
    """At all training pictures; smaller shares get more, see `steps`."""
    min_steps: int = 150
    balance: float = 0.5
    """λ of the two losses."""
    variants: int = 4
    """Versions of each training picture: as it is, mirrored, and both turned a little."""

    def steps(self, n: int) -> int:
        """Steps of a run on `n` pictures: the epochs, but never fewer than `min_steps`."""
        return max(self.min_steps, round(self.epochs * n / self.batch))


@dataclass(frozen=True)
class Task:
    """One study."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    arms: tuple[str, ...]
    fractions: tuple[float, ...]
    training: Training
    pool: int | None = None
    """Training pictures to draw from; None takes all there are."""
    tests: int | None = None
    shortcut: float = 0.0
    """Phantoms: how often the planted cue follows the class in training pictures."""


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task(
            "liver_ct",
            "liver-CT-like phantoms with a planted shortcut",
            "phantom",
            ("plain", "painted", "binary", "attention", "painted_truth"),
            (0.05, 0.2, 1.0),
            Training(),
            pool=400,
            tests=600,
            shortcut=0.95,
        ),
        Task(
            "brain_mri",
            "brain MRI, four classes",
            "real",
            ("plain", "painted"),
            (0.05, 0.1, 0.2, 0.5, 1.0),
            Training(blocks=3, epochs=8.0),
        ),
    )
}
