"""The studies as data: which pictures, which arms, how training goes. Light: no PyTorch.

A task is one set of pictures with masks and labels; an arm is one network with its share of the two losses; a run is a task, an arm and a seed.
All arms of a task and seed see the same pictures in the same batches for the same number of steps. Phantom seeds draw their own training pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from models.resformer_mtl.config import Config, small

OWN = "full"


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One network and what it is trained for."""

    id: str
    label: str
    change: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the full network's settings."""
    alpha: float | None = None
    """Weight of the class loss; None takes the task's."""
    seg_weight: float = 1.0
    network: Literal["resformer", "unet"] = "resformer"

    @property
    def segments(self) -> bool:
        """Whether it learns to outline."""
        return self.seg_weight > 0

    @property
    def classifies(self) -> bool:
        """Whether it learns the classes."""
        return self.alpha is None or self.alpha > 0


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "ResFormer, both tasks"),
        Arm("seg_only", "the same network, segmentation only", alpha=0.0),
        Arm("cls_only", "the same network, classes only", seg_weight=0.0),
        Arm("unet", "plain U-Net of like cost, both tasks", network="unet"),
        Arm("no_transformer", "without window attention (residual encoder)", {"transformer": False}),
        Arm("no_dfe", "without feature enhancement", {"dfe": "off"}),
        Arm("last_scale", "classes from the last scale alone", {"scales": (4,)}),
        Arm("parallel", "convolution and attention side by side", {"wiring": "parallel"}),
        Arm("alpha_01", "class loss at 0.1", alpha=0.1),
        Arm("alpha_1", "class loss at 1", alpha=1.0),
    )
}
TWINS = ("seg_only", "cls_only")


@dataclass(frozen=True)
class Training:
    """How one run trains (spec §3, on a smaller scale)."""

    steps: int = 2000
    batch: int = 8
    masked_share: float = 0.0
    """Part of every batch that is drawn from pictures with a mask, where only some have one; 0 draws from all alike."""
    lr: float = 1.5e-3
    weight_decay: float = 3e-5
    alpha: float = 0.25
    mirror: float = 0.5
    """How often a picture is mirrored left to right."""
    degrees: float = 25.0
    """Pictures are turned by up to this much."""


@dataclass(frozen=True)
class Task:
    """One study."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    source: str
    """"oct", a family of phantoms, or a data set's name."""
    arms: tuple[str, ...]
    training: Training = Training()
    side: int = 128
    pool: int = 64
    """Phantoms: training pictures of one seed; few, as scans with masks are."""
    tests: int = 600
    """Phantoms: test pictures; a quarter as many again are for validation."""
    structures: tuple[str, ...] = ("lesion",)
    classes: tuple[str, ...] = ()
    exclusive: bool = True
    """Whether exactly one class is true; else each is there or not."""

    def config(self, arm: Arm) -> Config:
        """The arm's network on these pictures."""
        k = len(self.structures)
        made = small(self.side, seg_classes=1 if k == 1 else k + 1, classes=len(self.classes), stem_stride=2)
        return replace(made, **arm.change)

    def alpha(self, arm: Arm) -> float:
        """The weight of the arm's class loss."""
        return self.training.alpha if arm.alpha is None else arm.alpha


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task(
            "oct",
            "retina-OCT-like phantoms, three kinds of fluid",
            "phantom",
            "oct",
            tuple(ARMS),
            structures=("IRF", "SRF", "PED"),
            classes=("IRF", "SRF", "PED"),
            exclusive=False,
        ),
        Task(
            "busi",
            "breast ultrasound (BUSI)",
            "real",
            "busi",
            (OWN, *TWINS, "unet"),
            Training(steps=1500, masked_share=0.5),
            classes=("benign", "malignant", "normal"),
        ),
        Task(
            "breast",
            "breast-ultrasound-like phantoms",
            "phantom",
            "breast_ultrasound",
            (OWN, *TWINS, "unet"),
            pool=160,
            classes=("normal", "benign-like", "malignant-like"),
        ),
        Task(
            "brain",
            "brain-MR-like phantoms",
            "phantom",
            "brain_mr",
            (OWN, *TWINS, "unet"),
            pool=160,
            structures=("tumour",),
            classes=("none", "glioma-like", "meningioma-like", "pituitary-like"),
        ),
    )
}


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(len(task.arms) for task in self.tasks) * len(self.seeds)

    def ships(self, seed: int) -> bool:
        """Whether a run's weights go into the checkpoint: those of the first seed."""
        return seed == self.seeds[0]

    def as_config(self) -> dict:
        """Everything that decides the numbers, for a hash and for the card."""
        return {
            "tasks": {task.id: asdict(task) for task in self.tasks},
            "seeds": list(self.seeds),
            "arms": {arm.id: asdict(arm) for arm in ARMS.values()},
        }


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked. PlanRefused with a sentence for what cannot be run.

    Entries: `tasks` (names, or name → changes of `arms`, `side`, `pool`, `tests`, `training`), `seeds` (how many).
    """
    unknown = set(config) - {"tasks", "seeds"}
    if unknown:
        raise PlanRefused(f"The studies know no setting called {', '.join(sorted(unknown))}; there are tasks and seeds.")
    asked = config.get("tasks", ("oct", "busi"))
    changes = dict(asked) if isinstance(asked, Mapping) else {str(name): {} for name in asked if isinstance(asked, (list, tuple))}
    seeds = config.get("seeds", 3)
    if not changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("Name at least one study, and 1 to 20 seeds.")
    return Plan(tuple(_task(name, change) for name, change in changes.items()), tuple(range(seed, seed + seeds)))


def _task(name: str, change: Mapping[str, object]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known, given = TASKS[name], dict(change)
    if "training" in given:
        given["training"] = _replaced(known.training, given["training"])
    if "arms" in given:
        given["arms"] = tuple(given["arms"])
    task = _replaced(known, given)
    if not task.arms or not set(task.arms) <= set(ARMS):
        raise PlanRefused(f"The arms of a study are some of {', '.join(ARMS)}.")
    return task


def _replaced(record: Any, change: Any) -> Any:
    names = {one.name for one in fields(record)}
    if not isinstance(change, Mapping) or not set(change) <= names:
        raise PlanRefused(f"{type(record).__name__} has the settings {', '.join(sorted(names))}; {change!r} does not fit them.")
    return replace(record, **change)
